//! The log on disk: segments of checksummed frames, one frame and one fsync for each group of writes.
//!
//! Because a frame is only written after the one before it is durable, only the very last frame can be torn.
//! A torn tail (cut short, or with sectors that read as zeros) was never acknowledged and is cut off; a frame
//! that is whole but wrong is corruption, and the log is refused: dropping it could lose what others count on.

mod dir;
mod frame;
mod log;
mod segment;
mod snapshots;

pub use dir::{DataDir, Identity};
pub use log::{Recovered, Wal, WalOptions};
pub use snapshots::{Incoming, Outgoing, load_latest as load_latest_snapshot, save as save_snapshot};

/// Why a log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: String, source: std::io::Error },
    #[error(
        "the log is corrupt: {path} at byte {offset}: {why}; restore this node from a copy or replace it"
    )]
    Corrupt { path: String, offset: u64, why: String },
    #[error("{0}")]
    Refused(String),
}

impl WalError {
    fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> WalError {
        let path = path.display().to_string();
        move |source| WalError::Io { what, path, source }
    }
}
