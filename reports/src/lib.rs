//! A run's log and verdicts, folded into pages, plots and documents.
//!
//! Input is always the same: a [`History`](squall_history::History) with everything that its log holds, the
//! verdicts on it, and the few [`Facts`] that a log does not know. Output is data ([`RunResult`],
//! [`Document`], [`Results`]) or text (a page, a terminal's summary). Pure: no file is read or written
//! here and no clock asked, so the same input gives the same bytes.
//!
//! Invariants: whatever came from a target is shown inert everywhere ([`text::inert`]); a page needs no
//! network; what is left out of a picture is counted and said, and operations that ended `info` or `fail` or
//! that prove an anomaly are never left out.
//!
//! Deliberately absent: judging. Verdicts come from the checkers; here they are only combined.

mod compare;
mod figures;
mod fold;
mod github;
mod junit;
mod outcome;
mod page;
mod plot;
mod results;
mod seen;
pub mod terminal;
pub mod text;
mod trend;

pub use compare::{Comparison, Difference, compare};
pub use figures::Figures;
pub use fold::{Facts, document, results, run_result};
pub use github::{annotations, job_summary, triage_summary};
pub use junit::junit;
pub use outcome::{Expected, RunOutcome, exit, exit_code};
pub use page::{Past, index, plots, report};
pub use results::{CheckResult, Document, FaultResult, Liveness, Operations, Results, RunResult};
pub use seen::{LogLine, Message};
pub use trend::{Change, Point, Signature, State, Trend, trends, triage};
