//! The faults that stand: what becomes of a call, and the counts of what did.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use squall_cluster::{DiskCall, DiskCounters, DiskError, DiskFault, Error, Glob, Random};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// It fails with this error number.
    pub refuse: Option<i32>,
    /// Its answer comes so much later.
    pub delay: Duration,
    /// A sync that makes nothing durable.
    pub lost: bool,
}

/// A standing fault, ready to be asked.
#[derive(Debug)]
enum Rule {
    LostFsync(Glob),
    Refuse { calls: Vec<DiskCall>, files: Glob, error: DiskError, share: f64 },
    Full,
    Slow { calls: Vec<DiskCall>, files: Glob, delay: Duration, jitter: Duration },
    Throughput { bytes_per_second: u64 },
    StaleReads { files: Glob, share: f64 },
}

/// All standing faults and the counters.
#[derive(Debug)]
pub(super) struct Rules {
    /// Whether there is any: the usual case is that there is none, and costs one load.
    any: AtomicBool,
    faults: RwLock<(Vec<DiskFault>, Vec<Rule>)>,
    random: Mutex<Random>,
    /// When the disk will have moved all bytes that were asked of it so far.
    busy_until: Mutex<Option<Instant>>,
    pub counts: Counts,
}

impl Rules {
    pub fn new(seed: u64) -> Self {
        Rules {
            any: AtomicBool::new(false),
            faults: RwLock::default(),
            random: Mutex::new(Random::new(seed)),
            busy_until: Mutex::new(None),
            counts: Counts::default(),
        }
    }

    pub fn set(&self, faults: &[DiskFault]) -> Result<(), Error> {
        let rules = faults.iter().map(rule).collect::<Result<Vec<Rule>, Error>>()?;
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = (faults.to_vec(), rules);
        *self.busy_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.any.store(!faults.is_empty(), Relaxed);
        Ok(())
    }

    pub fn faults(&self) -> Vec<DiskFault> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// What becomes of a call on the file at a path that moves so many bytes. `grows` is whether it needs room.
    pub fn decide(&self, call: DiskCall, path: &[u8], bytes: u64, grows: bool) -> Decision {
        let mut decision = Decision::default();
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        for rule in &faults.1 {
            match rule {
                Rule::LostFsync(files) if is_sync(call) => decision.lost |= files.matches(path),
                Rule::Refuse { calls, files, error, share } => {
                    if decision.refuse.is_none()
                        && calls.contains(&call)
                        && files.matches(path)
                        && self.hits(*share)
                    {
                        decision.refuse = Some(errno(*error));
                    }
                }
                Rule::Full if grows => decision.refuse = decision.refuse.or(Some(libc::ENOSPC)),
                Rule::Slow { calls, files, delay, jitter } => {
                    if calls.contains(&call) && files.matches(path) {
                        decision.delay += *delay + self.up_to(*jitter);
                    }
                }
                Rule::Throughput { bytes_per_second } if bytes > 0 => {
                    decision.delay += self.wait_for(bytes, *bytes_per_second);
                }
                Rule::LostFsync(_) | Rule::Full | Rule::Throughput { .. } | Rule::StaleReads { .. } => {}
            }
        }
        self.count(&decision);
        decision
    }

    fn count(&self, decision: &Decision) {
        match decision.refuse {
            Some(libc::ENOSPC) => self.counts.no_space_errors.add(1),
            Some(libc::EROFS) => self.counts.read_only_errors.add(1),
            Some(_) => self.counts.io_errors.add(1),
            None if decision.lost => self.counts.lost_fsyncs.add(1),
            None => {}
        }
        self.counts.delayed.add(u64::from(!decision.delay.is_zero()));
    }

    /// The share of overwritten blocks of this file that are to read stale.
    pub fn stale_share(&self, path: &[u8]) -> Option<f64> {
        let faults = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        faults.1.iter().find_map(|rule| match rule {
            Rule::StaleReads { files, share } if files.matches(path) => Some(*share),
            _ => None,
        })
    }

    pub fn is_full(&self) -> bool {
        self.has(|rule| matches!(rule, Rule::Full))
    }

    pub fn has_stale_reads(&self) -> bool {
        self.has(|rule| matches!(rule, Rule::StaleReads { .. }))
    }

    fn has(&self, wanted: impl Fn(&Rule) -> bool) -> bool {
        self.any() && self.faults.read().unwrap_or_else(PoisonError::into_inner).1.iter().any(wanted)
    }

    pub fn hits(&self, share: f64) -> bool {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).hits(share)
    }

    fn up_to(&self, jitter: Duration) -> Duration {
        let nanos = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        Duration::from_nanos(self.random.lock().unwrap_or_else(PoisonError::into_inner).below(nanos))
    }

    /// How long until the disk has moved these bytes behind all others.
    fn wait_for(&self, bytes: u64, bytes_per_second: u64) -> Duration {
        let now = Instant::now();
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let start = busy_until.map_or(now, |until| until.max(now));
        let end = start + Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64);
        *busy_until = Some(end);
        end - now
    }
}

fn is_sync(call: DiskCall) -> bool {
    matches!(call, DiskCall::Fsync | DiskCall::FsyncFolder)
}

fn errno(error: DiskError) -> i32 {
    match error {
        DiskError::Io => libc::EIO,
        DiskError::NoSpace => libc::ENOSPC,
        DiskError::ReadOnly => libc::EROFS,
    }
}

fn rule(fault: &DiskFault) -> Result<Rule, Error> {
    let share_of = |share: f64| match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(Error::Invalid(format!("a disk fault's share is between 0 and 1, not {share}"))),
    };
    Ok(match fault {
        DiskFault::LostFsync { files } => Rule::LostFsync(Glob::new(files)),
        DiskFault::Refuse { calls, files, error, share } => Rule::Refuse {
            calls: calls.clone(),
            files: Glob::new(files),
            error: *error,
            share: share_of(*share)?,
        },
        DiskFault::Full => Rule::Full,
        DiskFault::Slow { calls, files, delay, jitter } => {
            Rule::Slow { calls: calls.clone(), files: Glob::new(files), delay: *delay, jitter: *jitter }
        }
        DiskFault::Throughput { bytes_per_second: 0 } => {
            return Err(Error::Invalid("a disk that moves no bytes at all never answers".into()));
        }
        DiskFault::Throughput { bytes_per_second } => {
            Rule::Throughput { bytes_per_second: *bytes_per_second }
        }
        DiskFault::StaleReads { files, share } => {
            Rule::StaleReads { files: Glob::new(files), share: share_of(*share)? }
        }
    })
}

/// A count that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What the disk has done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub reads: Count,
    pub writes: Count,
    pub written_bytes: Count,
    pub fsyncs: Count,
    pub lost_fsyncs: Count,
    pub io_errors: Count,
    pub no_space_errors: Count,
    pub read_only_errors: Count,
    pub delayed: Count,
    pub stale_blocks: Count,
    pub flipped_bits: Count,
    pub truncated_bytes: Count,
    pub power_losses: Count,
    pub discarded_bytes: Count,
    pub discarded_names: Count,
}

impl Counts {
    pub fn all(&self, unsynced_bytes: u64) -> DiskCounters {
        DiskCounters {
            reads: self.reads.get(),
            writes: self.writes.get(),
            written_bytes: self.written_bytes.get(),
            fsyncs: self.fsyncs.get(),
            lost_fsyncs: self.lost_fsyncs.get(),
            io_errors: self.io_errors.get(),
            no_space_errors: self.no_space_errors.get(),
            read_only_errors: self.read_only_errors.get(),
            delayed: self.delayed.get(),
            stale_blocks: self.stale_blocks.get(),
            flipped_bits: self.flipped_bits.get(),
            truncated_bytes: self.truncated_bytes.get(),
            power_losses: self.power_losses.get(),
            discarded_bytes: self.discarded_bytes.get(),
            discarded_names: self.discarded_names.get(),
            unsynced_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(faults: &[DiskFault]) -> Rules {
        let rules = Rules::new(1);
        rules.set(faults).unwrap();
        rules
    }

    #[test]
    fn only_chosen_calls_on_chosen_files_are_refused() {
        let rules = rules(&[DiskFault::Refuse {
            calls: vec![DiskCall::Fsync],
            files: "*.wal".into(),
            error: DiskError::Io,
            share: 1.0,
        }]);
        assert_eq!(rules.decide(DiskCall::Fsync, b"a/0.wal", 0, false).refuse, Some(libc::EIO));
        assert_eq!(rules.decide(DiskCall::Write, b"a/0.wal", 9, true), Decision::default());
        assert_eq!(rules.decide(DiskCall::Fsync, b"a/db", 0, false), Decision::default());
        assert_eq!(rules.counts.io_errors.get(), 1);
    }

    #[test]
    fn a_full_disk_refuses_only_what_needs_room() {
        let rules = rules(&[DiskFault::Full]);
        assert!(rules.is_full());
        assert_eq!(rules.decide(DiskCall::Write, b"f", 9, true).refuse, Some(libc::ENOSPC));
        assert_eq!(rules.decide(DiskCall::Write, b"f", 9, false).refuse, None);
    }

    #[test]
    fn throughput_queues_bytes_behind_each_other() {
        let rules = rules(&[DiskFault::Throughput { bytes_per_second: 1000 }]);
        rules.decide(DiskCall::Write, b"f", 60_000, true);
        let delay = rules.decide(DiskCall::Read, b"g", 60_000, false).delay;
        assert!(delay > Duration::from_secs(100) && delay <= Duration::from_secs(120), "{delay:?}");
        assert!(rules.decide(DiskCall::Fsync, b"g", 0, false).delay.is_zero());
    }

    #[test]
    fn impossible_faults_are_refused_and_change_nothing() {
        let rules = rules(&[DiskFault::Full]);
        let bad = DiskFault::StaleReads { files: "*".into(), share: 1.5 };
        assert!(rules.set(&[bad]).is_err());
        assert!(rules.set(&[DiskFault::Throughput { bytes_per_second: 0 }]).is_err());
        assert_eq!(rules.faults(), [DiskFault::Full]);
    }
}
