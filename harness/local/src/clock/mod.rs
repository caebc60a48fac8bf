//! A node's wall clock, moved by itself: the program is unchanged, the machine's clock is untouched, and no
//! privilege is needed.
//!
//! - [`ClockPage`] is the clock as the harness holds it: a page of shared memory that says how true time maps
//!   to the node's time.
//! - [`exec_with_clock`] starts a program so that it, and everything it starts, reads its wall clock through
//!   such a page: at each `exec` a copy of the vDSO with our time functions takes the place of the kernel's.
//!
//! Invariants: nothing runs with a clock other than the node's (a launch that cannot be patched is refused and
//! killed); a reader never waits for the writer, who may die at any instant; a change of rate is never a step
//! backwards; monotonic clocks are never touched.
//!
//! Deliberately absent: patching programs that run already, skewing monotonic clocks (it breaks every timed
//! wait), raw system calls, timers that the kernel runs on the wall clock. `docs/faults/clock.md` lists these
//! escapes.

pub mod bench;
mod launch;
mod layout;
mod mapping;
mod page;

#[cfg(target_arch = "x86_64")]
mod descriptors;
#[cfg(target_arch = "x86_64")]
mod inject;
#[cfg(target_arch = "x86_64")]
mod seccomp;
#[cfg(target_arch = "x86_64")]
mod start;
#[cfg(target_arch = "x86_64")]
mod stub;
#[cfg(target_arch = "x86_64")]
mod supervisor;
#[cfg(target_arch = "x86_64")]
mod tracee;
#[cfg(target_arch = "x86_64")]
mod vdso;

pub use launch::{Launch, LaunchError, exec_with_clock, supported};
pub use page::ClockPage;
