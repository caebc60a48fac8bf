//! Taking in what a passing command says, bounded in size and in time.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// The most that is kept of one stream, bytes.
const LIMIT: usize = 1 << 20;
/// How long a stream may stay open after its command ended, in the hands of children left behind.
const LINGER: Duration = Duration::from_millis(500);

/// A pipe: our end for an async runtime, and the command's.
pub(crate) fn pipe() -> io::Result<(Receiver, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok((Receiver::from_owned_fd(reader)?, writer))
}

/// What was read so far, shared with the reader so that it is not lost if the stream never ends.
type Text = std::sync::Arc<std::sync::Mutex<Vec<u8>>>;

/// A stream being read.
#[derive(Debug)]
pub(crate) struct Collected {
    text: Text,
    reader: JoinHandle<()>,
}

/// Reads a stream to its end in the background; what is over the limit is read and forgotten.
pub(crate) fn collect(mut pipe: Receiver) -> Collected {
    let text = Text::default();
    let kept = text.clone();
    let reader = tokio::spawn(async move {
        let mut part = vec![0; 16 * 1024];
        while let Ok(length) = pipe.read(&mut part).await {
            if length == 0 {
                return;
            }
            let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let room = LIMIT - kept.len();
            kept.extend(&part[..length.min(room)]);
        }
    });
    Collected { text, reader }
}

impl Collected {
    /// What the stream said until it ended, or until a little after its command did.
    pub async fn finish(mut self) -> Vec<u8> {
        if tokio::time::timeout(LINGER, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        std::mem::take(&mut *self.text.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
