//! The frame: how one group of writes stands in a segment.
//!
//! ```text
//! magic u32 | body length u32 | sequence u64 | hash of these 16 bytes u64 | hash of the body u64 | body | padding
//! ```
//! Little endian. Frames start at multiples of 512, so that no sector holds parts of two frames: writing one
//! never rewrites, and so never endangers, what is durable already. The padding is never empty and not zero,
//! so a sector of a whole frame never reads as zeros (values are JSON text and hold no NUL); a sector that
//! does was never written.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::raft::{Entry, HardState, Index, Term};

pub const HEADER: usize = 32;
const MAGIC: u32 = 0x5351_4c57;
/// What a disk writes whole or not at all.
pub const SECTOR: usize = 512;
const PAD: u8 = 0xa5;

/// One thing in a frame.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Record {
    HardState(HardState),
    Entry(Entry),
    /// The log begins anew after this entry, which a snapshot covers.
    Base {
        index: Index,
        term: Term,
    },
}

/// What stands at some place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Whole and right; the next one starts at `end`.
    Good {
        records: Vec<Record>,
        end: usize,
    },
    /// Nothing: the segment ends here.
    End,
    /// Written in part: the write was cut short before it was acknowledged.
    Torn,
    Corrupt(&'static str),
}

/// Appends a frame with `records` to `buffer`, whose length must be a multiple of 512.
pub fn encode<'a>(
    buffer: &mut Vec<u8>,
    sequence: u64,
    records: impl Iterator<Item = &'a Record>,
) -> Result<(), postcard::Error> {
    let start = buffer.len();
    buffer.resize(start + HEADER, 0);
    let body_start = buffer.len();
    for record in records {
        let taken = std::mem::take(buffer);
        *buffer = postcard::to_extend(record, taken)?;
    }
    let length = buffer.len() - body_start;
    let end = padded_end(start, length);
    buffer.resize(end, PAD);
    let body_hash = xxh3_64_with_seed(&buffer[body_start..end], sequence);
    let header = &mut buffer[start..body_start];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    header[8..16].copy_from_slice(&sequence.to_le_bytes());
    let header_hash = xxh3_64(&header[..16]);
    header[16..24].copy_from_slice(&header_hash.to_le_bytes());
    header[24..32].copy_from_slice(&body_hash.to_le_bytes());
    Ok(())
}

fn padded_end(start: usize, length: usize) -> usize {
    (start + HEADER + length + 1).next_multiple_of(SECTOR)
}

/// Reads the frame at `at`, which must carry `sequence`. `trusting` skips the check of the body's hash: one
/// of the museum's bugs.
pub fn decode(segment: &[u8], at: usize, sequence: u64, trusting: bool) -> Frame {
    if at == segment.len() {
        return Frame::End;
    }
    let Some(header) = segment.get(at..at + HEADER) else { return Frame::Torn };
    let Some((length, found)) = read_header(header) else {
        return if is_zero(header) {
            Frame::Torn
        } else {
            Frame::Corrupt("the header of a record is damaged")
        };
    };
    if found != sequence {
        return Frame::Corrupt("a record is out of sequence");
    }
    let end = padded_end(at, length);
    if end > segment.len() && !trusting {
        return Frame::Torn;
    }
    let body = &segment[at + HEADER..end.min(segment.len())];
    let good = xxh3_64_with_seed(body, sequence) == u64_at(header, 24);
    if !good && !trusting {
        // Nothing was written behind a frame that was not yet durable.
        let torn = has_zero_sector(segment, at, end) && is_zero(&segment[end..]);
        return if torn { Frame::Torn } else { Frame::Corrupt("the checksum of a record does not match") };
    }
    match decode_body(&body[..length.min(body.len())], trusting) {
        Some(records) => Frame::Good { records, end: end.min(segment.len()) },
        None => Frame::Corrupt("a record with a matching checksum cannot be read"),
    }
}

/// Whether some whole and right frame with a sequence of at least `sequence` starts at or after `from`.
pub fn any_good_after(segment: &[u8], from: usize, sequence: u64) -> bool {
    let starts = (from.next_multiple_of(SECTOR)..segment.len()).step_by(SECTOR);
    starts.into_iter().any(|at| {
        let header = segment.get(at..at + HEADER).and_then(read_header);
        header.is_some_and(|(length, found)| {
            let body = segment.get(at + HEADER..padded_end(at, length));
            found >= sequence
                && body.is_some_and(|b| xxh3_64_with_seed(b, found) == u64_at(&segment[at..], 24))
        })
    })
}

fn read_header(header: &[u8]) -> Option<(usize, u64)> {
    let magic = u32::from_le_bytes(header[0..4].try_into().ok()?);
    let length = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let right = magic == MAGIC && xxh3_64(&header[..16]) == u64_at(header, 16);
    right.then(|| (length, u64_at(header, 8)))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

fn decode_body(mut body: &[u8], trusting: bool) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        match postcard::take_from_bytes(body) {
            Ok((record, rest)) => {
                records.push(record);
                body = rest;
            }
            Err(_) if trusting => break,
            Err(_) => return None,
        }
    }
    Some(records)
}

fn has_zero_sector(segment: &[u8], start: usize, end: usize) -> bool {
    segment[start..end].chunks(SECTOR).any(is_zero)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0)
}
