//! The ways in which disks are bad while a fault stands. Which of them a correct system must survive is said
//! where faults are documented: no system that trusts its own disk survives flushes that lie.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::{DiskCall, DiskCounters, DiskError, DiskFault};
use squall_engine::seed::Rng;
use squall_engine::{Error, units};

use crate::disk::DiskHarm;
use crate::victims::field;

/// Flushes say that they are done and are not; at the end the power fails, and what they promised is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LostFsync {
    files: String,
}

/// Writes and flushes take long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlowDisk {
    #[serde(with = "units::duration")]
    delay: Duration,
    #[serde(with = "units::duration")]
    jitter: Duration,
}

/// A share of chosen calls on chosen files fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DiskErrors {
    calls: Vec<DiskCall>,
    files: String,
    error: DiskError,
    share: f64,
}

/// There is no room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DiskFull {}

/// Blocks that are overwritten meanwhile read as they were before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StaleRead {
    files: String,
    share: f64,
}

const ALL_FILES: &str = "**";

impl Default for LostFsync {
    fn default() -> Self {
        LostFsync { files: ALL_FILES.into() }
    }
}

impl Default for SlowDisk {
    fn default() -> Self {
        SlowDisk { delay: Duration::from_millis(50), jitter: Duration::from_millis(20) }
    }
}

impl Default for DiskErrors {
    /// What failing media do: reads, writes and flushes fail, now and then.
    fn default() -> Self {
        let calls = vec![DiskCall::Read, DiskCall::Write, DiskCall::Fsync];
        DiskErrors { calls, files: ALL_FILES.into(), error: DiskError::Io, share: 0.05 }
    }
}

impl Default for StaleRead {
    fn default() -> Self {
        StaleRead { files: ALL_FILES.into(), share: 0.5 }
    }
}

impl DiskHarm for LostFsync {
    const NAME: &'static str = "lost-fsync";
    const GRAVE: bool = true;
    const POWER_FAILS: bool = true;
    const DOES: &'static str = "lost every flush of";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("files".into(), self.files.clone().into());
    }

    fn fault(drawn: &Map<String, Json>) -> Result<DiskFault, Error> {
        Ok(DiskFault::LostFsync { files: field(drawn, "files")? })
    }

    fn harmed(counters: &DiskCounters) -> u64 {
        counters.lost_fsyncs
    }
}

impl DiskHarm for SlowDisk {
    const NAME: &'static str = "slow-disk";
    const GRAVE: bool = false;
    const DOES: &'static str = "slowed the disk of";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("delay_seconds".into(), self.delay.as_secs_f64().into());
        drawn.insert("jitter_seconds".into(), self.jitter.as_secs_f64().into());
    }

    fn fault(drawn: &Map<String, Json>) -> Result<DiskFault, Error> {
        let seconds = |name| {
            Duration::try_from_secs_f64(field(drawn, name)?)
                .map_err(|e| Error::Config(format!("`{name}`: {e}")))
        };
        Ok(DiskFault::Slow {
            calls: vec![DiskCall::Write, DiskCall::Fsync],
            files: ALL_FILES.into(),
            delay: seconds("delay_seconds")?,
            jitter: seconds("jitter_seconds")?,
        })
    }

    fn harmed(counters: &DiskCounters) -> u64 {
        counters.delayed
    }
}

impl DiskHarm for DiskErrors {
    const NAME: &'static str = "disk-error";
    const GRAVE: bool = true;
    const DOES: &'static str = "made calls fail on the disk of";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("calls".into(), serde_json::to_value(&self.calls).expect("plain enums"));
        drawn.insert("files".into(), self.files.clone().into());
        drawn.insert("error".into(), serde_json::to_value(self.error).expect("a plain enum"));
        drawn.insert("share".into(), self.share.into());
    }

    fn fault(drawn: &Map<String, Json>) -> Result<DiskFault, Error> {
        Ok(DiskFault::Refuse {
            calls: field(drawn, "calls")?,
            files: field(drawn, "files")?,
            error: field(drawn, "error")?,
            share: field(drawn, "share")?,
        })
    }

    fn harmed(counters: &DiskCounters) -> u64 {
        counters.io_errors + counters.no_space_errors + counters.read_only_errors
    }

    fn validate(&self) -> Result<(), Error> {
        if self.calls.is_empty() {
            return Err(Error::Config("`calls` of `disk-error` is empty: no call would fail".into()));
        }
        a_share(Self::NAME, self.share)
    }
}

impl DiskHarm for DiskFull {
    const NAME: &'static str = "disk-full";
    const GRAVE: bool = true;
    const DOES: &'static str = "filled the disk of";

    fn draw(&self, _rng: &mut Rng, _drawn: &mut Map<String, Json>) {}

    fn fault(_drawn: &Map<String, Json>) -> Result<DiskFault, Error> {
        Ok(DiskFault::Full)
    }

    fn harmed(counters: &DiskCounters) -> u64 {
        counters.no_space_errors
    }
}

impl DiskHarm for StaleRead {
    const NAME: &'static str = "stale-read";
    const GRAVE: bool = true;
    const REREADS: bool = true;
    const DOES: &'static str = "made overwritten blocks read as before on the disk of";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("files".into(), self.files.clone().into());
        drawn.insert("share".into(), self.share.into());
    }

    fn fault(drawn: &Map<String, Json>) -> Result<DiskFault, Error> {
        Ok(DiskFault::StaleReads { files: field(drawn, "files")?, share: field(drawn, "share")? })
    }

    fn harmed(counters: &DiskCounters) -> u64 {
        counters.stale_blocks
    }

    fn validate(&self) -> Result<(), Error> {
        a_share(Self::NAME, self.share)
    }
}

fn a_share(fault: &str, share: f64) -> Result<(), Error> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(Error::Config(format!("the `share` of a `{fault}` is above 0 and at most 1, not {share}")))
}
