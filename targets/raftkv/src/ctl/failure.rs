//! Why something was not done, as text, as JSON and as an exit code.

use serde_json::{Value, json};

use crate::client::ClientError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `changes`: the request was one that changes something.
    #[error("{error}")]
    Client { error: ClientError, changes: bool },
    #[error("{0}")]
    Input(String),
    #[error("none of the endpoints leads: {0}")]
    NoLeader(String),
}

impl Failure {
    /// As the usage text says.
    pub fn exit_code(&self) -> i32 {
        match self {
            Failure::Input(_) => 254,
            Failure::Client { error, .. } if matches!(error.code(), Some("bad_request" | "too_large")) => 254,
            Failure::Client { error, changes: true } if !error.definite() => 2,
            Failure::Client { .. } | Failure::NoLeader(_) => 255,
        }
    }

    /// In the form of the interface's errors.
    pub fn to_json(&self) -> Value {
        let (code, definite) = match self {
            Failure::Client { error, changes } => {
                (error.code().unwrap_or("unreachable"), error.definite() || !changes)
            }
            Failure::Input(_) => ("bad_request", true),
            Failure::NoLeader(_) => ("no_leader", true),
        };
        json!({"error": code, "definite": definite, "message": self.to_string()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_nothing_happened_from_nobody_knows() {
        let refused = |code: &str, definite| ClientError::Refused {
            status: 503,
            code: code.into(),
            definite,
            message: String::new(),
        };
        let broken = || ClientError::Broken { endpoint: "e".into(), why: "w".into() };
        for (error, changes, code) in [
            (refused("busy", true), true, 255),
            (refused("timeout", false), true, 2),
            (refused("bad_request", true), true, 254),
            (refused("read_timeout", true), false, 255),
            (broken(), true, 2),
            (broken(), false, 255),
        ] {
            assert_eq!(Failure::Client { error: error.clone(), changes }.exit_code(), code, "{error}");
        }
    }
}
