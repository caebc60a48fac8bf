//! Segment files: names, headers, creation, and the walk over their frames.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::WalError;
use super::frame::{self, Frame, Record};

/// Bytes before the first frame, one sector: a magic word, the segment's number, the sequence of its first
/// frame, a hash of these, padding.
pub const HEADER: usize = frame::SECTOR;
const PAD: u8 = 0xa5;
const MAGIC: &[u8; 8] = b"RKVLOG01";

/// The file of segment `number`.
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("log-{number:010}.wal"))
}

/// The numbers of the segments in `dir`, ascending.
pub fn list(dir: &Path) -> Result<Vec<u64>, WalError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(WalError::io("cannot list", dir))? {
        let entry = entry.map_err(WalError::io("cannot list", dir))?;
        let name = entry.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|n| n.strip_prefix("log-")?.strip_suffix(".wal")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates segment `number`, whose first frame will carry `sequence`, and makes file and name durable.
pub fn create(dir: &Path, number: u64, sequence: u64) -> Result<File, WalError> {
    let path = path(dir, number);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&sequence.to_le_bytes());
    header.extend_from_slice(&xxh3_64(&header).to_le_bytes());
    header.resize(HEADER, PAD);
    let options = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
    let mut file = options.map_err(WalError::io("cannot create", &path))?;
    file.write_all(&header).map_err(WalError::io("cannot write", &path))?;
    file.sync_all().map_err(WalError::io("cannot flush", &path))?;
    sync_dir(dir)?;
    Ok(file)
}

/// Makes the names in `dir` durable.
pub fn sync_dir(dir: &Path) -> Result<(), WalError> {
    let file = File::open(dir).map_err(WalError::io("cannot open", dir))?;
    file.sync_all().map_err(WalError::io("cannot flush", dir))
}

/// What a segment holds.
#[derive(Debug)]
pub struct Scan {
    /// The records of each good frame, in order.
    pub records: Vec<Record>,
    /// The sequence that the next frame must carry.
    pub next_sequence: u64,
    /// Where the good part ends, in bytes.
    pub good: usize,
    /// Something torn follows the good part.
    pub torn: bool,
}

/// Reads a segment. `expected`: the sequence that its first frame must carry, if known. Only the last
/// segment may have a torn tail.
pub fn scan(
    path: &Path,
    number: u64,
    expected: Option<u64>,
    last: bool,
    trusting: bool,
) -> Result<Option<Scan>, WalError> {
    let bytes = std::fs::read(path).map_err(WalError::io("cannot read", path))?;
    let corrupt = |offset: usize, why: &str| WalError::Corrupt {
        path: path.display().to_string(),
        offset: offset as u64,
        why: why.to_owned(),
    };
    let header = match bytes.get(..HEADER) {
        Some(header) if header.iter().any(|&b| b != 0) => header,
        _ if last && bytes.iter().all(|&b| b == 0) => return Ok(None),
        // A header cut short: the segment was being created, and nothing was acknowledged from it.
        None if last => return Ok(None),
        _ => return Err(corrupt(0, "the segment's header is missing")),
    };
    let mut word = [0; 8];
    word.copy_from_slice(&header[24..32]);
    let padded = header[32..].iter().all(|&b| b == PAD);
    let right = &header[..8] == MAGIC && xxh3_64(&header[..24]) == u64::from_le_bytes(word) && padded;
    word.copy_from_slice(&header[8..16]);
    if !right || u64::from_le_bytes(word) != number {
        return Err(corrupt(0, "the segment's header is damaged"));
    }
    word.copy_from_slice(&header[16..24]);
    let mut next_sequence = u64::from_le_bytes(word);
    if expected.is_some_and(|e| e != next_sequence) {
        return Err(corrupt(0, "records are missing before this segment"));
    }
    let (mut at, mut records) = (HEADER, Vec::new());
    loop {
        match frame::decode(&bytes, at, next_sequence, trusting) {
            Frame::End => return Ok(Some(Scan { records, next_sequence, good: at, torn: false })),
            Frame::Good { records: more, end } => {
                records.extend(more);
                at = end;
                next_sequence += 1;
            }
            Frame::Torn | Frame::Corrupt(_) if trusting => {
                return Ok(Some(Scan { records, next_sequence, good: at, torn: false }));
            }
            Frame::Torn if last && !frame::any_good_after(&bytes, at, next_sequence) => {
                return Ok(Some(Scan { records, next_sequence, good: at, torn: true }));
            }
            Frame::Torn => return Err(corrupt(at, "a record is incomplete, yet others follow it")),
            Frame::Corrupt(why) => return Err(corrupt(at, why)),
        }
    }
}
