//! Pages of whole runs: what they say, that nothing in them acts, and that nothing in them leaves the file.

mod demo;
mod page;
