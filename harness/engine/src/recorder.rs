//! The recorder: every event of a run, on disk at least each second.
//!
//! Invariants. (1) An event's time is read while its lane is locked, and a flush reads its watermark before
//! it locks any lane: so when a frame is sealed with watermark W, every event with time ≤ W is in it or in an
//! earlier one. (2) Times are strictly increasing within a lane. (3) A worker only ever waits for its own
//! lane, never for the disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use squall_history::runlog::LogWriter;
use squall_history::{Entry, Event, EventKind, Meta, ProcessId, Value};

use crate::{Error, Operation};

/// How often a frame is written. Well below the second that is promised, so that a late thread keeps it.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Time of a run: nanoseconds of the monotonic clock since it began.
#[derive(Clone, Copy, Debug)]
pub struct RunClock(Instant);

impl RunClock {
    /// Now is time zero.
    pub fn start() -> Self {
        RunClock(Instant::now())
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    /// The time of an instant; 0 for one before the run.
    pub fn at(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.0).as_nanos() as u64
    }

    /// The instant of a time.
    pub fn instant(&self, time: u64) -> Instant {
        self.0 + Duration::from_nanos(time)
    }
}

/// What a flush hands on to whoever watches the run while it goes on.
#[derive(Debug)]
pub struct Flushed<'a> {
    /// Entries that were flushed, in no strict order between workers.
    pub entries: &'a [Entry],
    /// Every event with a time up to this has been handed on.
    pub watermark: u64,
}

/// Called after each flush, on the recorder's thread.
pub type Watcher = Box<dyn FnMut(Flushed<'_>) + Send>;

#[derive(Debug, Default)]
struct Lane {
    entries: Vec<Entry>,
    last: u64,
}

/// How many operations have been invoked and how they ended so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Invoked.
    pub started: AtomicU64,
    /// Completed `ok`.
    pub ok: AtomicU64,
    /// Completed `fail`.
    pub fail: AtomicU64,
    /// Completed `info`.
    pub info: AtomicU64,
}

struct Shared {
    clock: RunClock,
    flush_every: Duration,
    // The first for everything that is not an operation, so that the header leads the log; then one for each worker.
    lanes: Vec<Mutex<Lane>>,
    tally: Tally,
    stop: Mutex<bool>,
    wake: Condvar,
    failed: AtomicBool,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("lanes", &self.0.lanes.len()).finish_non_exhaustive()
    }
}

/// The thread that writes; ends with [`Writing::finish`].
#[derive(Debug)]
pub struct Writing {
    recorder: Recorder,
    thread: Option<JoinHandle<std::io::Result<u64>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A lane is a vector: whatever panicked while holding it left it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Creates the log (it must not exist) and starts writing.
    pub fn start(
        clock: RunClock,
        workers: usize,
        path: &Path,
        watcher: Option<Watcher>,
    ) -> Result<(Recorder, Writing), Error> {
        Recorder::start_with(clock, workers, path, watcher, FLUSH_EVERY)
    }

    fn start_with(
        clock: RunClock,
        workers: usize,
        path: &Path,
        watcher: Option<Watcher>,
        flush_every: Duration,
    ) -> Result<(Recorder, Writing), Error> {
        let file = File::create_new(path)
            .map_err(|e| Error::io(format!("the run log {} cannot be created", path.display()), e))?;
        let recorder = Recorder(Arc::new(Shared {
            clock,
            flush_every,
            lanes: (0..=workers).map(|_| Mutex::default()).collect(),
            tally: Tally::default(),
            stop: Mutex::new(false),
            wake: Condvar::new(),
            failed: AtomicBool::new(false),
        }));
        let shared = recorder.0.clone();
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || {
                let result = write_all(&shared, file, watcher);
                shared.failed.store(result.is_err(), Ordering::Relaxed);
                result
            })
            .map_err(|e| Error::io("the recorder's thread cannot be started", e))?;
        Ok((recorder.clone(), Writing { recorder, thread: Some(thread) }))
    }

    /// The run's clock.
    pub fn clock(&self) -> RunClock {
        self.0.clock
    }

    /// Counts so far.
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Whether the log can no longer be written: the run should end.
    pub fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Records an invocation and says its time: the request leaves right after.
    pub fn invoke(&self, worker: usize, process: ProcessId, op: &Operation, intended: u64) -> Event {
        self.0.tally.started.fetch_add(1, Ordering::Relaxed);
        let mut event = Event {
            kind: EventKind::Invoke,
            process,
            time: 0,
            intended,
            f: op.f.clone(),
            key: op.key.clone(),
            value: op.value.clone(),
            meta: None,
        };
        let mut lane = locked(&self.0.lanes[worker + 1]);
        event.time = self.stamp(&mut lane);
        // Nothing is sent before it is due; a timer that fires early by its resolution is not early load.
        event.intended = intended.min(event.time);
        lane.entries.push(Entry::Op(event.clone()));
        event
    }

    /// Records a completion, right after the answer is in.
    pub fn complete(
        &self,
        worker: usize,
        invoked: &Event,
        (kind, value, meta): (EventKind, Value, Option<Box<Meta>>),
    ) -> Event {
        let time = {
            let mut lane = locked(&self.0.lanes[worker + 1]);
            let time = self.stamp(&mut lane);
            let event = Event {
                kind,
                process: invoked.process,
                time,
                intended: time,
                f: invoked.f.clone(),
                key: invoked.key.clone(),
                value: value.clone(),
                meta,
            };
            lane.entries.push(Entry::Op(event));
            time
        };
        let tally = &self.0.tally;
        match kind {
            EventKind::Ok => &tally.ok,
            EventKind::Fail => &tally.fail,
            EventKind::Info | EventKind::Invoke => &tally.info,
        }
        .fetch_add(1, Ordering::Relaxed);
        Event { kind, time, intended: time, value, meta: None, ..invoked.clone() }
    }

    /// Records anything else; `make` is given its time.
    pub fn note(&self, make: impl FnOnce(u64) -> Entry) -> u64 {
        let mut lane = locked(&self.0.lanes[0]);
        let time = self.stamp(&mut lane);
        lane.entries.push(make(time));
        time
    }

    fn stamp(&self, lane: &mut Lane) -> u64 {
        lane.last = self.0.clock.now().max(lane.last + 1);
        lane.last
    }
}

impl Writing {
    /// Writes what is left and closes the log. Bytes written.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.stop();
        let thread = self.thread.take().expect("taken only here");
        let result = thread.join().map_err(|_| Error::Broken("the recorder's thread panicked".into()))?;
        result.map_err(|e| Error::io("the run log cannot be written", e))
    }

    fn stop(&self) {
        *locked(&self.recorder.0.stop) = true;
        self.recorder.0.wake.notify_all();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_all(shared: &Shared, file: File, mut watcher: Option<Watcher>) -> std::io::Result<u64> {
    let mut log = LogWriter::new(file)?;
    let mut batch = Vec::new();
    loop {
        let stopping = {
            let guard = locked(&shared.stop);
            let (guard, _) = shared
                .wake
                .wait_timeout_while(guard, shared.flush_every, |stop| !*stop)
                .unwrap_or_else(PoisonError::into_inner);
            *guard
        };
        // One less than now: an event stamped in this very nanosecond may come after its lane was emptied.
        let watermark = shared.clock.now().saturating_sub(1);
        for lane in &shared.lanes {
            // Take the lane's vector and leave an empty one of its size, so that workers rarely allocate.
            let taken = {
                let mut lane = locked(lane);
                let room = lane.entries.len();
                std::mem::replace(&mut lane.entries, Vec::with_capacity(room))
            };
            batch.extend(taken);
        }
        if !batch.is_empty() || stopping {
            for entry in &batch {
                log.push(entry);
            }
            log.seal(watermark)?;
            log.get_mut().flush()?;
            if let Some(watch) = &mut watcher {
                watch(Flushed { entries: &batch, watermark });
            }
            batch.clear();
        }
        if stopping {
            log.get_mut().sync_data()?;
            return Ok(log.bytes_written());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use squall_history::runlog::{Merger, read_log_file};

    use super::*;

    /// Workers record as fast as they can while a watcher reads along: whatever a watermark promised must
    /// have been there, and at the end nothing may be missing.
    #[test]
    fn a_watermark_never_lies() {
        const WORKERS: usize = 4;
        const FLUSHES: u64 = 60;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let late = Arc::new(AtomicBool::new(false));
        let flushes = Arc::new(AtomicU64::new(0));
        let done = AtomicU64::new(0);
        let watcher: Watcher = {
            let (late, flushes, mut merger) = (late.clone(), flushes.clone(), Merger::new());
            Box::new(move |flushed| {
                for entry in flushed.entries {
                    if let Entry::Op(event) = entry {
                        merger.push(event.clone());
                    }
                }
                merger.advance(flushed.watermark);
                late.fetch_or(merger.late() > 0, Ordering::Relaxed);
                flushes.fetch_add(1, Ordering::Relaxed);
            })
        };
        // Flushed far more often than in a run, so that events and watermarks race.
        let often = Duration::from_micros(100);
        let (recorder, writing) =
            Recorder::start_with(RunClock::start(), WORKERS, &path, Some(watcher), often).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (recorder, flushes, done) = (recorder.clone(), &flushes, &done);
                scope.spawn(move || {
                    let op = Operation::new(&"write".into(), Value::Nil, Value::Int(worker as i64));
                    while flushes.load(Ordering::Relaxed) < FLUSHES {
                        let invoked = recorder.invoke(worker, worker as u32, &op, 0);
                        recorder.complete(worker, &invoked, (EventKind::Ok, op.value.clone(), None));
                        done.fetch_add(1, Ordering::Relaxed);
                        // Many small flushes show more than few large ones.
                        std::thread::sleep(Duration::from_micros(20));
                    }
                });
            }
        });
        writing.finish().unwrap();
        assert!(!late.load(Ordering::Relaxed), "an event came after a watermark that promised it");
        let (history, skipped) = read_log_file(&path).unwrap();
        let done = done.load(Ordering::Relaxed);
        assert_eq!(history.len() as u64, done);
        assert_eq!(skipped.events, 0);
        assert!(history.ops().all(|op| op.completed > op.invoked && op.end > op.start));
        assert_eq!(recorder.tally().ok.load(Ordering::Relaxed), done);
    }

    #[test]
    fn an_existing_log_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "somebody's").unwrap();
        assert!(Recorder::start(RunClock::start(), 1, &path, None).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    }
}
