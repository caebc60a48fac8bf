//! What goes wrong when nodes are made, changed or asked.

use std::io;

use thiserror::Error as ThisError;

/// An error of a provider. Messages are whole sentences' worth: what was tried, on which node, what to do.
#[derive(Debug, ThisError)]
pub enum Error {
    /// This machine or provider lacks what was asked; the text says what to do about it.
    #[error("{0}")]
    Unavailable(String),
    /// The caller asked for something that makes no sense, such as a program that is not there.
    #[error("{0}")]
    Invalid(String),
    /// An operating-system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, on which node.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The provider's own machinery is gone or answered nonsense.
    #[error("{0}")]
    Broken(String),
    /// Something did not happen in its time.
    #[error("{0}")]
    Timeout(String),
}

impl Error {
    /// An [`Error::Io`] with its context.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Error::Io { what: what.into(), source }
    }
}
