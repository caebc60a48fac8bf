//! Exit codes. They are API, and Jepsen's.

use std::process::ExitCode;

use squall_checkers::Valid;
use squall_engine::Error as EngineError;

/// How a command ended, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Valid, or as expected; for commands that judge nothing: done.
    Valid,
    /// Invalid, or the cluster did not recover.
    Invalid,
    /// Undecided.
    Unknown,
    /// Bad arguments, configuration or input. Nothing was started.
    BadInput,
    /// The harness, the provisioning or a check broke.
    Broken,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Valid => 0,
            Exit::Invalid => 1,
            Exit::Unknown => 2,
            Exit::BadInput => 254,
            Exit::Broken => 255,
            Exit::Interrupted => 130,
        }
    }

    /// The exit of a code that another crate gave.
    pub(crate) fn from_code(code: u8) -> Exit {
        match code {
            0 => Exit::Valid,
            1 => Exit::Invalid,
            2 => Exit::Unknown,
            254 => Exit::BadInput,
            130 => Exit::Interrupted,
            _ => Exit::Broken,
        }
    }

    /// What stands for several runs or files together: an interruption, then 1 over 255 over 254 over 2 over
    /// 0. A violation that was proven stays the answer, whatever broke beside it.
    pub fn worst(all: impl IntoIterator<Item = Exit>) -> Exit {
        let rank = |e: &Exit| match e {
            Exit::Valid => 0,
            Exit::Unknown => 1,
            Exit::BadInput => 2,
            Exit::Broken => 3,
            Exit::Invalid => 4,
            Exit::Interrupted => 5,
        };
        all.into_iter().max_by_key(rank).unwrap_or(Exit::Valid)
    }

    /// What an error means for the caller.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        for cause in error.chain() {
            if cause.is::<Refused>() {
                return Exit::BadInput;
            }
            match cause.downcast_ref::<EngineError>() {
                Some(EngineError::Config(_)) => return Exit::BadInput,
                Some(EngineError::Interrupted) => return Exit::Interrupted,
                Some(_) | None => {}
            }
        }
        Exit::Broken
    }
}

impl From<Valid> for Exit {
    fn from(valid: Valid) -> Exit {
        match valid {
            Valid::Yes => Exit::Valid,
            Valid::No => Exit::Invalid,
            Valid::Unknown => Exit::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// What the caller asked for cannot be done as asked: exit code 254. The text says what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// A refusal.
    pub fn new(text: impl Into<String>) -> Self {
        Refused(text.into())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn over_several_1_outranks_255_outranks_2_outranks_0() {
        let worst = |all: &[Exit]| Exit::worst(all.iter().copied()).code();
        assert_eq!(worst(&[Exit::Valid, Exit::Unknown, Exit::Broken, Exit::Invalid]), 1);
        assert_eq!(worst(&[Exit::Unknown, Exit::Broken, Exit::BadInput]), 255);
        assert_eq!(worst(&[Exit::BadInput, Exit::Unknown]), 254);
        assert_eq!(worst(&[Exit::Valid, Exit::Unknown]), 2);
        assert_eq!(worst(&[]), 0);
    }

    #[test]
    fn errors_keep_their_meaning_under_context() {
        let of = |e: anyhow::Result<()>| Exit::of_error(&e.unwrap_err()).code();
        assert_eq!(of(Err(Refused::new("no")).context("while reading")), 254);
        assert_eq!(of(Err(EngineError::Config("no".into())).context("resolving")), 254);
        assert_eq!(of(Err(EngineError::Missing("no etcd".into())).context("preparing")), 255);
        assert_eq!(of(Err(EngineError::Interrupted).context("running")), 130);
        assert_eq!(of(Err(anyhow::anyhow!("something else"))), 255);
    }
}
