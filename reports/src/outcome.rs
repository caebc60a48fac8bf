//! What a run was expected to show, whether it did, and the exit code that says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use squall_checkers::Valid;

/// Exit codes; they are API, and Jepsen's.
pub mod exit {
    /// Valid, or as expected.
    pub const PASS: u8 = 0;
    /// Invalid, or the cluster did not recover.
    pub const FAIL: u8 = 1;
    /// Undecided.
    pub const UNKNOWN: u8 = 2;
    /// Ctrl-C or SIGTERM.
    pub const INTERRUPTED: u8 = 130;
    /// Bad arguments or configuration.
    pub const BAD_ARGUMENTS: u8 = 254;
    /// The harness, the provisioning or a check broke.
    pub const BROKEN: u8 = 255;
}

/// What a campaign says that a run will show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// No anomaly.
    #[default]
    Valid,
    /// At least one of these anomalies, by their `type`, and no other.
    Invalid(Vec<String>),
}

/// How a run went, measured by what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// As expected.
    Pass,
    /// An anomaly that was not expected, an expected one that did not show, or no recovery.
    Fail,
    /// Undecided.
    Unknown,
    /// The run broke: nothing can be said about the target.
    Error,
}

impl RunOutcome {
    /// Combines the parts of a verdict.
    ///
    /// `anomalies` are the types that were found; `broken` says that the harness failed. What was proven
    /// stays proven: an unexpected anomaly fails a run that broke later.
    pub fn of(
        expected: &Expected,
        valid: Valid,
        anomalies: &BTreeSet<&str>,
        recovery_failed: bool,
        broken: bool,
    ) -> Self {
        let listed = match expected {
            Expected::Valid => false,
            Expected::Invalid(kinds) => anomalies.iter().all(|a| kinds.iter().any(|k| k == a)),
        };
        match (expected, valid) {
            (Expected::Valid, Valid::No) => RunOutcome::Fail,
            (Expected::Invalid(_), Valid::No) if !listed => RunOutcome::Fail,
            _ if broken => RunOutcome::Error,
            _ if recovery_failed => RunOutcome::Fail,
            (_, Valid::Unknown) => RunOutcome::Unknown,
            (Expected::Invalid(_), Valid::Yes) => RunOutcome::Fail,
            (Expected::Invalid(_), Valid::No) | (Expected::Valid, Valid::Yes) => RunOutcome::Pass,
        }
    }

    /// The exit code of this run alone.
    pub fn exit_code(self) -> u8 {
        match self {
            RunOutcome::Pass => exit::PASS,
            RunOutcome::Fail => exit::FAIL,
            RunOutcome::Unknown => exit::UNKNOWN,
            RunOutcome::Error => exit::BROKEN,
        }
    }
}

/// The exit code of several runs: 1 outranks 255 outranks 2 outranks 0. Of no run at all it is 2: nothing was
/// decided. `allow_unknown` counts undecided runs as passed.
pub fn exit_code(outcomes: impl IntoIterator<Item = RunOutcome>, allow_unknown: bool) -> u8 {
    let rank = |o: &RunOutcome| match o {
        RunOutcome::Pass => 0,
        RunOutcome::Unknown => u8::from(!allow_unknown),
        RunOutcome::Error => 2,
        RunOutcome::Fail => 3,
    };
    match outcomes.into_iter().max_by_key(rank) {
        None => exit::UNKNOWN,
        Some(RunOutcome::Unknown) if allow_unknown => exit::PASS,
        Some(worst) => worst.exit_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::RunOutcome::{Error, Fail, Pass, Unknown};
    use super::*;

    fn of(expected: &Expected, valid: Valid, anomalies: &[&str]) -> RunOutcome {
        RunOutcome::of(expected, valid, &anomalies.iter().copied().collect(), false, false)
    }

    #[test]
    fn over_several_runs_1_outranks_255_outranks_2_outranks_0() {
        assert_eq!(exit_code([Pass, Unknown, Error, Fail], false), 1);
        assert_eq!(exit_code([Error, Pass, Unknown], false), 255);
        assert_eq!(exit_code([Pass, Unknown, Pass], false), 2);
        assert_eq!(exit_code([Pass, Pass], false), 0);
        assert_eq!(exit_code([], false), 2);
        assert_eq!(exit_code([Unknown, Pass], true), 0);
        assert_eq!(exit_code([Unknown], true), 0);
        assert_eq!(exit_code([Unknown, Error], true), 255);
    }

    #[test]
    fn valid_is_expected_unless_said_otherwise() {
        let expected = Expected::default();
        assert_eq!(of(&expected, Valid::Yes, &[]), Pass);
        assert_eq!(of(&expected, Valid::Unknown, &[]), Unknown);
        assert_eq!(of(&expected, Valid::No, &["lost"]), Fail);
    }

    #[test]
    fn an_expected_anomaly_must_be_found_and_no_other() {
        let expected = Expected::Invalid(vec!["G-single".into(), "lost".into()]);
        assert_eq!(of(&expected, Valid::No, &["lost"]), Pass);
        assert_eq!(of(&expected, Valid::No, &["lost", "G0"]), Fail);
        assert_eq!(of(&expected, Valid::Yes, &[]), Fail);
        assert_eq!(of(&expected, Valid::Unknown, &[]), Unknown);
    }

    #[test]
    fn no_recovery_fails_and_what_was_proven_outranks_a_broken_harness() {
        let none = BTreeSet::new();
        assert_eq!(RunOutcome::of(&Expected::Valid, Valid::Yes, &none, true, false), Fail);
        assert_eq!(RunOutcome::of(&Expected::Valid, Valid::Unknown, &none, false, true), Error);
        let lost = BTreeSet::from(["lost"]);
        assert_eq!(RunOutcome::of(&Expected::Valid, Valid::No, &lost, false, true), Fail);
    }

    #[test]
    fn expectations_read_as_campaigns_write_them() {
        let json = |e: &Expected| serde_json::to_string(e).unwrap();
        assert_eq!(json(&Expected::Valid), "\"valid\"");
        assert_eq!(json(&Expected::Invalid(vec!["lost".into()])), "{\"invalid\":[\"lost\"]}");
    }
}
