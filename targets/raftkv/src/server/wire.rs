//! What travels between servers: length-delimited, checksummed postcard frames over TCP.
//!
//! A connection carries one direction: the side that dialled sends, the other only greets and answers
//! pings. So each side knows by itself when its connection is dead.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use xxhash_rust::xxh3::xxh3_64;

use crate::raft::{Message, NodeId, Refusal};

/// Raised when the format changes: servers of different versions do not talk.
pub const VERSION: u32 = 1;
const MAX_FRAME: usize = 64 << 20;

/// The first frame of the side that dialled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    pub cluster: String,
    pub from: NodeId,
    /// Whom the caller believes to have reached.
    pub to: NodeId,
}

/// The answer to [`Hello`]: nothing, or why not.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub refused: Option<String>,
}

/// From the side that dialled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Frame {
    Raft(Message),
    /// Please propose this for a client of ours.
    Forward {
        id: u64,
        data: Bytes,
    },
    /// What you forwarded was not proposed.
    Refused {
        id: u64,
        refusal: Refusal,
    },
    Ping,
}

/// From the side that was dialled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pong;

/// Appends `value` as a frame: length u32, hash u32 (both little endian), postcard.
pub fn encode(buffer: &mut Vec<u8>, value: &impl Serialize) -> Result<(), postcard::Error> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    let taken = std::mem::take(buffer);
    *buffer = postcard::to_extend(value, taken)?;
    let length = (buffer.len() - start - 8) as u32;
    let hash = xxh3_64(&buffer[start + 8..]) as u32;
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + 8].copy_from_slice(&hash.to_le_bytes());
    Ok(())
}

/// Reads one frame.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<T> {
    let bad = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    let length = from.read_u32_le().await? as usize;
    let hash = from.read_u32_le().await?;
    if length > MAX_FRAME {
        return Err(bad(format!("a frame of {length} bytes")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    if xxh3_64(&body) as u32 != hash {
        return Err(bad("a frame whose checksum does not match".into()));
    }
    postcard::from_bytes(&body).map_err(|e| bad(format!("a frame that cannot be read: {e}")))
}
