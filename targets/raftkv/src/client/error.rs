//! Why a request did not do what it should.

/// What went wrong. A mismatched compare or a lock that another holds is an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No connection came about: nothing was sent.
    #[error("cannot connect to {endpoint}: {why}")]
    Connect { endpoint: String, why: String },
    /// The request is not one that can be sent: nothing was sent.
    #[error("cannot send this: {0}")]
    Unsendable(String),
    /// The node answered with an error. `code` is one of the interface's words.
    #[error("{code}: {message}")]
    Refused { status: u16, code: String, definite: bool, message: String },
    /// The connection broke before the whole answer was here.
    #[error("the connection to {endpoint} broke: {why}")]
    Broken { endpoint: String, why: String },
    /// What came back is not an answer of this interface.
    #[error("{endpoint} gave an answer that cannot be read: {why}")]
    Unreadable { endpoint: String, why: String },
}

impl ClientError {
    /// Whether a change certainly did nothing and never will. A read never changes anything.
    pub fn definite(&self) -> bool {
        match self {
            ClientError::Connect { .. } | ClientError::Unsendable(_) => true,
            ClientError::Refused { definite, .. } => *definite,
            ClientError::Broken { .. } | ClientError::Unreadable { .. } => false,
        }
    }

    /// The interface's word for the error, if the node answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}
