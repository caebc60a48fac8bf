//! Pages of whole runs: what they say, that nothing in them acts, and that nothing in them leaves the file.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used)]

mod any;
mod browser;
mod campaign;
mod demo;
mod hostile;
mod page;
