//! Finds and checks single zstd frames, so that a torn tail can be told from damage.

use std::io::{self, Read};

use zstd::zstd_safe::find_frame_compressed_size;

/// How a zstd frame begins.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest frame that is read, compressed or not: far above what a second of recording fills, and a bound
/// on what a damaged length can make us allocate.
pub(super) const MAX_FRAME: usize = 1 << 30;

/// Bit of the frame header's descriptor that says that a checksum of the content follows.
const HAS_CHECKSUM: u8 = 1 << 2;

/// The length of the whole frame at the beginning of `bytes`, if it is all there as far as its block headers
/// tell.
pub(super) fn whole(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    find_frame_compressed_size(bytes).ok().filter(|&n| n <= bytes.len())
}

/// Unpacks one whole frame into `lines`, which is cleared, and checks it. The error says what is wrong.
pub(super) fn unpack(frame: &[u8], lines: &mut Vec<u8>) -> Result<(), String> {
    lines.clear();
    // Without its checksum a frame would be believed unchecked; ours always have one.
    if frame.get(4).is_none_or(|descriptor| descriptor & HAS_CHECKSUM == 0) {
        return Err("its header says that it has no checksum".to_owned());
    }
    let decode = |lines: &mut Vec<u8>| -> io::Result<()> {
        let decoder = zstd::stream::read::Decoder::with_buffer(frame)?.single_frame();
        decoder.take(MAX_FRAME as u64 + 1).read_to_end(lines)?;
        Ok(())
    };
    decode(lines).map_err(|e| e.to_string())?;
    if lines.len() > MAX_FRAME {
        return Err("it unpacks to more than one GiB".to_owned());
    }
    Ok(())
}

/// Whether a whole, sound frame with a mark at its end begins anywhere in `bytes`: if so, what stands before
/// it is damaged and not merely torn.
pub(super) fn any_sound_frame(bytes: &[u8]) -> bool {
    let mut lines = Vec::new();
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC).map(|(at, _)| at);
    starts.into_iter().any(|at| {
        whole(&bytes[at..]).is_some_and(|n| {
            unpack(&bytes[at..at + n], &mut lines).is_ok()
                && lines.ends_with(b"}\n")
                && last_line_is_mark(&lines)
        })
    })
}

fn last_line_is_mark(lines: &[u8]) -> bool {
    let body = &lines[..lines.len() - 1];
    let from = body.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    body[from..].starts_with(b"{\"type\":\"mark\",")
}
