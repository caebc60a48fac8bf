//! What the interface answers when it does not do what was asked.
//!
//! `definite` is the heart of it: true means that the request certainly changed nothing and never will;
//! false means that nobody knows yet. Reads change nothing, so a failed read is always definite.

use crate::kv::Refused;
use crate::raft::{Index, Refusal};

/// A refusal or failure, as the client sees it. `docs/raftkv.md` explains each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    BadRequest(String),
    NotFound,
    MethodNotAllowed,
    TooLarge {
        limit_bytes: usize,
    },
    Busy,
    NoLeader,
    /// The node that was thought to lead refused before it appended anything.
    NotLeader,
    /// A read could not be confirmed.
    LeaderLost,
    /// The entry was overwritten by another leader's, which is committed.
    Superseded,
    /// A change was under way when time ran out.
    Timeout,
    ReadTimeout,
    /// The connection broke over which a change was forwarded.
    ForwardBroken,
    /// The command met a state that it does not apply to.
    Conflict(Refused),
    /// The membership cannot be changed like this now.
    MemberChange(&'static str),
    /// Changes that far back are forgotten.
    Compacted {
        complete_after: Index,
    },
    /// The server stopped while a change was under way.
    Stopping,
    /// The server is about to stop and takes nothing new.
    ShuttingDown,
    /// The body did not arrive in time.
    TooSlow,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::NotLeader => ApiError::NotLeader,
            Refusal::Busy => ApiError::Busy,
            Refusal::ChangePending => ApiError::MemberChange("the last change is not committed yet"),
            Refusal::ChangeTooBig => ApiError::MemberChange("one voter at a time, and one must be left"),
            Refusal::NotCaughtUp => ApiError::MemberChange("the learner has not caught up yet"),
        }
    }
}

impl ApiError {
    pub fn status(&self) -> u16 {
        match self {
            ApiError::BadRequest(_) => 400,
            ApiError::NotFound => 404,
            ApiError::MethodNotAllowed => 405,
            ApiError::TooSlow => 408,
            ApiError::TooLarge { .. } => 413,
            ApiError::Conflict(_) | ApiError::MemberChange(_) => 409,
            ApiError::Compacted { .. } => 410,
            ApiError::Timeout | ApiError::ReadTimeout => 504,
            _ => 503,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            ApiError::BadRequest(_) => "bad_request",
            ApiError::NotFound => "not_found",
            ApiError::MethodNotAllowed => "method_not_allowed",
            ApiError::TooLarge { .. } => "too_large",
            ApiError::Busy => "busy",
            ApiError::NoLeader => "no_leader",
            ApiError::NotLeader => "not_leader",
            ApiError::LeaderLost => "leader_lost",
            ApiError::Superseded => "superseded",
            ApiError::Timeout => "timeout",
            ApiError::ReadTimeout => "read_timeout",
            ApiError::ForwardBroken => "forward_broken",
            ApiError::Conflict(Refused::WrongType { .. }) => "wrong_type",
            ApiError::Conflict(Refused::NoLease) => "no_lease",
            ApiError::Conflict(Refused::NoSession) => "no_session",
            ApiError::Conflict(Refused::OldSeq) => "old_seq",
            ApiError::MemberChange(_) => "member_change",
            ApiError::Compacted { .. } => "compacted",
            ApiError::Stopping => "stopping",
            ApiError::ShuttingDown => "shutting_down",
            ApiError::TooSlow => "too_slow",
        }
    }

    /// Whether the request certainly had and will have no effect.
    pub fn definite(&self) -> bool {
        !matches!(self, ApiError::Timeout | ApiError::ForwardBroken | ApiError::Stopping)
    }

    fn message(&self) -> String {
        match self {
            ApiError::BadRequest(why) => why.clone(),
            ApiError::NotFound => "no such path".into(),
            ApiError::MethodNotAllowed => "this path does not take this method".into(),
            ApiError::TooLarge { limit_bytes } => format!("the limit is {limit_bytes} bytes"),
            ApiError::Busy => "too many requests are waiting; nothing was done".into(),
            ApiError::NoLeader => "this node can reach no leader; nothing was done".into(),
            ApiError::NotLeader => "the node asked does not lead any more; nothing was done".into(),
            ApiError::LeaderLost => "the leader lost its office before it could confirm the read".into(),
            ApiError::Superseded => {
                "another leader's entry took the place of this one; nothing was done".into()
            }
            ApiError::Timeout => "not committed in time; it may still happen".into(),
            ApiError::ReadTimeout => "the read could not be confirmed in time".into(),
            ApiError::ForwardBroken => "the connection to the leader broke; it may or may not happen".into(),
            ApiError::Conflict(Refused::WrongType { key }) => {
                format!("the value of {key:?} is of the wrong type, or a number would leave its range")
            }
            ApiError::Conflict(Refused::NoLease) => "there is no such lease (any more)".into(),
            ApiError::Conflict(Refused::NoSession) => "there is no such session (any more)".into(),
            ApiError::Conflict(Refused::OldSeq) => "the session has seen a later request".into(),
            ApiError::MemberChange(why) => (*why).into(),
            ApiError::Compacted { complete_after } => {
                format!("changes are known after {complete_after} only")
            }
            ApiError::Stopping => "the server is stopping; it may or may not happen".into(),
            ApiError::ShuttingDown => "the server is about to stop; nothing was done".into(),
            ApiError::TooSlow => "the body did not arrive in time; nothing was done".into(),
        }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "error": self.code(), "definite": self.definite(), "message": self.message(),
        })
        .to_string()
    }
}
