//! What needs more than one module: the log on disk under damage, golden scripts, real server processes.

mod processes;
mod wal;
