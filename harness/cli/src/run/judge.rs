//! Judging a history: the workload's checks and those of every run.
//!
//! Works on the log alone, so that a stored run can be judged again, and a run that was cut short too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use squall_checkers::run::{
    Availability, Errors, Exits, Failover, Latency, LogScan, Recovery, Stats, Terms, Vacuity,
};
use squall_checkers::{Budget, Check, Verdict};
use squall_engine::Error;
use squall_engine::protocol::Workload;
use squall_history::History;

use super::one::Wanted;

/// What judging came to.
#[derive(Debug)]
pub(crate) struct Judged {
    /// One for each check, those of the workload first.
    pub verdicts: Vec<Verdict>,
    /// A check that broke, and how.
    pub broken: Option<String>,
}

/// Judges by this consistency.
pub(crate) fn judge(
    history: &History,
    workload: &dyn Workload,
    consistency: &str,
    wanted: &Wanted,
    limit: Duration,
) -> Result<Judged, Error> {
    let mut checks = workload.checks(consistency)?;
    let floors = workload.floors().into_iter().map(|(f, n)| (f.to_owned(), n)).collect();
    let of_every_run: [Box<dyn Check>; 10] = [
        Box::new(Vacuity { floors, faults: wanted.faults.clone() }),
        Box::new(Recovery),
        Box::new(Exits),
        Box::new(LogScan),
        Box::new(Terms),
        Box::new(Stats),
        Box::new(Errors),
        Box::new(Latency),
        Box::new(Availability),
        Box::new(Failover),
    ];
    checks.extend(of_every_run);
    let all = checks.iter().map(|c| &**c).chain(wanted.checks.iter().map(|c| &**c));
    let budget = Budget::default();
    let _timer = Timer::start(budget.clone(), limit);
    let mut judged = Judged { verdicts: Vec::new(), broken: None };
    for check in all {
        match catch_unwind(AssertUnwindSafe(|| check.check(history, &budget))) {
            Ok(verdict) => judged.verdicts.push(verdict),
            Err(_) => {
                let why = format!("the check `{}` broke; this is a defect of squall", check.name());
                judged.verdicts.push(Verdict::unknown(check.name(), &why));
                judged.broken.get_or_insert(why);
            }
        }
    }
    Ok(judged)
}

/// Raises a budget's flag when time is up, unless it is dropped before.
#[derive(Debug)]
pub(crate) struct Timer {
    // Dropping the sender wakes the thread.
    _end: std::sync::mpsc::Sender<()>,
}

impl Timer {
    /// Counts from now.
    pub(crate) fn start(budget: Budget, limit: Duration) -> Self {
        let (end, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                budget.stop();
            }
        });
        Timer { _end: end }
    }
}
