//! What goes wrong in a run, told apart by whose fault it is: that decides the exit code.

use thiserror::Error as ThisError;

/// An error of the engine or of a protocol's implementation.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The caller asked for something impossible or unknown. Nothing was started.
    #[error("{0}")]
    Config(String),
    /// What is needed is not on this machine; the text says how to get it. Nothing was started.
    #[error("{0}")]
    Missing(String),
    /// The target did not do as it should while being set up or asked.
    #[error("{0}")]
    Target(String),
    /// The provider failed.
    #[error(transparent)]
    Cluster(#[from] squall_cluster::Error),
    /// The store could not be written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The person ended the run.
    #[error("interrupted")]
    Interrupted,
    /// The harness itself broke.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    /// An [`Error::Io`] with its context.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Error::Io { what: what.into(), source }
    }
}
