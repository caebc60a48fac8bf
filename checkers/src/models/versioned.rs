//! A register whose every state has a version, as etcd's revisions: greater with every change.
//!
//! Functions as [`super::Register`]'s; the version is what the client noted as `revision`. Where it noted
//! none, an operation says nothing of versions.

use squall_history::{History, Op, Value};

use super::{BadOp, Effect, Model, Register, RegisterOp};

/// A register with versions. It looks into the history for the revisions.
#[derive(Clone, Debug)]
pub struct VersionedRegister<'a> {
    /// Where the operations come from.
    pub history: &'a History,
    /// The register without its versions.
    pub register: Register,
}

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Versioned {
    /// The value.
    pub value: Value,
    /// The version; the least possible where none was seen.
    pub version: i64,
    /// Whether the version was seen.
    pub exact: bool,
}

/// An operation with the version that it saw or made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionedOp {
    /// What it does.
    pub op: RegisterOp,
    /// The version, if one was noted.
    pub version: Option<i64>,
}

impl Model for VersionedRegister<'_> {
    type State = Versioned;
    type Op = VersionedOp;

    fn init(&self) -> Versioned {
        Versioned { value: self.register.initial.clone(), version: i64::MIN, exact: false }
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<VersionedOp>, BadOp> {
        let version = self.history.meta(op.index as usize).and_then(|m| m.revision);
        Ok(self.register.project(op)?.map(|op| VersionedOp { op, version }))
    }

    fn step(&self, state: &Versioned, op: &VersionedOp) -> Option<Versioned> {
        let value = self.register.step(&state.value, &op.op)?;
        let changes = matches!(op.op, RegisterOp::Write(_) | RegisterOp::Cas(..));
        match (changes, op.version) {
            (true, None) => Some(Versioned { value, version: state.version.saturating_add(1), exact: false }),
            (true, Some(version)) => {
                (version > state.version).then_some(Versioned { value, version, exact: true })
            }
            (false, None) => Some(state.clone()),
            (false, Some(version)) if state.exact => (version == state.version).then(|| state.clone()),
            (false, Some(version)) => {
                (version >= state.version).then_some(Versioned { value, version, exact: true })
            }
        }
    }

    fn effect(&self, op: &VersionedOp) -> Effect {
        match (&op.op, op.version) {
            (RegisterOp::Read(_) | RegisterOp::Mismatch(_), None) => Effect::Observes,
            (RegisterOp::Write(_), None) => Effect::Total,
            _ => Effect::Any,
        }
    }

    fn describe_state(&self, state: &Versioned) -> String {
        let at = if state.exact { format!(" at revision {}", state.version) } else { String::new() };
        format!("value {}{at}", state.value)
    }
}
