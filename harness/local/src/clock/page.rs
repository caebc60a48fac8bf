//! A node's clock as the harness holds it: the writer of the shared page.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use squall_cluster::{Clock, ClockChange, ClockReading, Error};

use super::layout::{PAGE_BYTES, Page};
use super::mapping::{LEAD_NANOS, MAX_OFFSET_NANOS, MAX_RATE, Refusal};

/// The fastest strobe offered: flips closer together than this would tell more about the scheduler.
const MIN_STROBE_PERIOD: Duration = Duration::from_micros(100);

/// A node's wall clock: a page of shared memory that [`exec_with_clock`](super::exec_with_clock) puts into the
/// programs of the node. Dropping it leaves the programs with the clock as it stands.
#[derive(Debug)]
pub struct ClockPage {
    shared: Arc<Shared>,
    strobe: Mutex<Option<Strobe>>,
}

#[derive(Debug)]
struct Shared {
    page: MappedPage,
    /// Held while the page is being changed: it has one writer at a time.
    writer: Mutex<()>,
    /// The latest generation that a reader was seen to have used.
    seen: AtomicU64,
}

impl ClockPage {
    /// A clock that shows true time.
    pub fn new() -> io::Result<Self> {
        let page = MappedPage::create()?;
        let shared = Shared { page, writer: Mutex::new(()), seen: AtomicU64::new(0) };
        Ok(ClockPage { shared: Arc::new(shared), strobe: Mutex::new(None) })
    }

    /// The memory's descriptor, to be handed to whoever starts the node's programs. Closed at `exec`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.page.fd()
    }

    /// Changes the clock, ends a strobe, and says what the clock is like now. Blocks for at most about a
    /// millisecond, and only when a rate was changed within the last one.
    pub fn set(&self, change: ClockChange) -> Result<ClockReading, Error> {
        let mut strobe = lock(&self.strobe);
        end_strobe(&mut strobe);
        self.shared.change(change)?;
        Ok(self.shared.reading())
    }

    /// How it stands.
    pub fn reading(&self) -> ClockReading {
        self.shared.reading()
    }

    /// How many program starts (`exec`) have been given this clock.
    pub fn patched(&self) -> u64 {
        self.shared.page.get().patched.0.load(Ordering::Relaxed)
    }

    /// How many program starts were refused, and killed, because they could not be given this clock.
    pub fn refused(&self) -> u64 {
        self.shared.page.get().refused.0.load(Ordering::Relaxed)
    }

    /// Alternates between the clock as it stands and the clock moved by `delta_nanos`, starting with the
    /// latter, until the next change.
    pub fn start_strobe(&self, delta_nanos: i64, period: Duration) -> Result<(), Error> {
        if period < MIN_STROBE_PERIOD {
            return Err(Error::Invalid(format!("a strobe's period is at least {MIN_STROBE_PERIOD:?}")));
        }
        let mut strobe = lock(&self.strobe);
        end_strobe(&mut strobe);
        // The first flip shows whether the offset is possible at all.
        self.shared.change(ClockChange::Jump(delta_nanos))?;
        let shared = self.shared.clone();
        let (stop, stopped) = mpsc::channel();
        let flip = move || {
            let mut delta = delta_nanos;
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                delta = -delta;
                shared.change(ClockChange::Jump(delta)).ok();
            }
            if delta == delta_nanos {
                shared.change(ClockChange::Jump(-delta_nanos)).ok();
            }
        };
        let thread = std::thread::Builder::new().name("squall-strobe".into()).spawn(flip);
        let thread = thread.map_err(|error| Error::io("starting a clock's strobe", error))?;
        *strobe = Some(Strobe { stop, thread });
        Ok(())
    }
}

impl Drop for ClockPage {
    fn drop(&mut self) {
        end_strobe(&mut lock(&self.strobe));
    }
}

#[async_trait]
impl Clock for ClockPage {
    async fn change(&self, change: ClockChange) -> Result<(), Error> {
        self.set(change).map(|_| ())
    }

    fn read(&self) -> ClockReading {
        self.reading()
    }

    async fn strobe(&self, delta_nanos: i64, period: Duration) -> Result<(), Error> {
        self.start_strobe(delta_nanos, period)
    }
}

/// A running strobe: a thread of its own, so that flips are on time whatever the runtime is busy with.
#[derive(Debug)]
struct Strobe {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

fn end_strobe(strobe: &mut Option<Strobe>) {
    if let Some(Strobe { stop, thread }) = strobe.take() {
        drop(stop);
        thread.join().expect("the strobe's loop does not panic");
    }
}

impl Shared {
    fn change(&self, change: ClockChange) -> Result<(), Error> {
        let _writer = lock(&self.writer);
        let page = self.page.get();
        loop {
            let (_, current) = page.current();
            let now = real_nanos();
            if current.is_pending(now) && matches!(change, ClockChange::Rate(_)) {
                // A mapping has room for one switch, so the one that is under way comes first.
                std::thread::sleep(Duration::from_nanos(current.switch_at.abs_diff(now)));
                continue;
            }
            let next = current.changed(change, now).map_err(|refusal| refuse(change, refusal))?;
            let generation = page.prepare(&next);
            // Published late, a switch would be behind readers that still use the old line: start again.
            let late = next.is_pending(now) && real_nanos() > next.switch_at - LEAD_NANOS / 2;
            if !late {
                page.publish(generation);
                return Ok(());
            }
        }
    }

    fn reading(&self) -> ClockReading {
        let page = self.page.get();
        let (generation, mapping) = page.current();
        let now = real_nanos();
        // Two readers may store their generations in either order; what was seen stays seen.
        let seen = page.seen.0.load(Ordering::Relaxed);
        let seen = self.seen.fetch_max(seen, Ordering::Relaxed).max(seen);
        ClockReading { offset_nanos: mapping.at(now) - now, rate: mapping.rate_at(now), generation, seen }
    }
}

fn refuse(change: ClockChange, refusal: Refusal) -> Error {
    Error::Invalid(match refusal {
        Refusal::TooFar => {
            let years = MAX_OFFSET_NANOS / (365 * 86_400 * 1_000_000_000);
            format!("{change:?} would move a clock more than {years} years from true time")
        }
        Refusal::BadRate(rate) => format!("a clock's rate is between 0 and {MAX_RATE}, not {rate}"),
    })
}

/// The machine's wall clock in nanoseconds since 1970.
pub(super) fn real_nanos() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec into a variable of ours; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held cannot have left half a change: publishing is a single store.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The page as it is mapped into this process.
#[derive(Debug)]
pub(super) struct MappedPage {
    fd: OwnedFd,
    at: NonNull<Page>,
}

// SAFETY: the memory is shared and stays mapped as long as this value lives; all its fields are atomics.
unsafe impl Send for MappedPage {}
// SAFETY: as above.
unsafe impl Sync for MappedPage {}

impl MappedPage {
    /// A page of zeros: true time, generation 0.
    pub fn create() -> io::Result<Self> {
        const NAME: &CStr = c"squall-clock";
        // SAFETY: the name is a C string; the result is checked.
        let fd = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: calls on a descriptor of ours without any memory. Sealed, because a page that shrinks
        // would kill every program that reads its clock.
        let failed = unsafe {
            libc::ftruncate(fd.as_raw_fd(), PAGE_BYTES as libc::off_t) < 0
                || libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) < 0
        };
        if failed { Err(io::Error::last_os_error()) } else { MappedPage::of(fd) }
    }

    /// Maps a page that [`MappedPage::create`] made, here or in another process.
    pub fn of(fd: OwnedFd) -> io::Result<Self> {
        let file = std::fs::File::from(fd);
        if file.metadata()?.len() != PAGE_BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this descriptor is not a clock page"));
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the result is checked.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), PAGE_BYTES, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).expect("a mapping is never at address zero");
        Ok(MappedPage { fd: file.into(), at })
    }

    pub fn get(&self) -> &Page {
        // SAFETY: the mapping is PAGE_BYTES long, aligned to a page, lives as long as `self`, and holds
        // atomics only, for which every bit pattern is valid and concurrent writers are allowed.
        unsafe { self.at.as_ref() }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length, and no reference outlives `self`.
        unsafe { libc::munmap(self.at.as_ptr().cast(), PAGE_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn readings_follow_changes() {
        let clock = ClockPage::new().unwrap();
        assert_eq!(clock.reading(), ClockReading { offset_nanos: 0, rate: 1.0, generation: 0, seen: 0 });
        let jumped = clock.set(ClockChange::Jump(-20 * SECOND)).unwrap();
        assert_eq!((jumped.offset_nanos, jumped.generation, jumped.seen), (-20 * SECOND, 1, 0));
        clock.set(ClockChange::Rate(0.0)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let frozen = clock.reading();
        assert!(frozen.offset_nanos < -20 * SECOND - SECOND / 1000 && frozen.rate == 0.0, "{frozen:?}");
        assert_eq!(clock.set(ClockChange::Reset).unwrap().offset_nanos, 0);
    }

    #[test]
    fn refused_changes_leave_the_clock_as_it_was() {
        let clock = ClockPage::new().unwrap();
        assert!(clock.set(ClockChange::Rate(-0.5)).is_err());
        assert!(clock.set(ClockChange::Jump(i64::MIN)).is_err());
        assert_eq!(clock.reading().generation, 0);
    }

    #[test]
    fn a_strobe_flips_until_the_next_change_and_leaves_no_offset() {
        let clock = ClockPage::new().unwrap();
        clock.start_strobe(SECOND, Duration::from_millis(1)).unwrap();
        let mut seen = [false; 2];
        while seen != [true; 2] {
            seen[usize::from(clock.reading().offset_nanos != 0)] = true;
        }
        let after = clock.set(ClockChange::Jump(7)).unwrap();
        assert_eq!(after.offset_nanos, 7);
        assert!(after.generation > 2);
    }

    #[test]
    fn a_page_is_shared_with_whoever_maps_its_descriptor() {
        let clock = ClockPage::new().unwrap();
        let other = MappedPage::of(clock.fd().try_clone_to_owned().unwrap()).unwrap();
        clock.set(ClockChange::Jump(3)).unwrap();
        assert_eq!(other.get().current().1.at(10), 13);
        other.get().seen.0.store(1, Ordering::Relaxed);
        assert_eq!(clock.reading().seen, 1);
    }

    #[test]
    fn other_descriptors_are_not_taken_for_pages() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(MappedPage::of(null.into()).is_err());
    }
}
