//! `squall raftkv museum`: runs the campaign that was made for each of Raft KV's classic mistakes, over several
//! seeds, and says how many were found, how fast, and by which anomaly.
//!
//! Each run is an ordinary run of an ordinary campaign, ended at its first anomaly. What came of it is one small file
//! beside it, so that a visit that was interrupted goes on where it stopped, shards are merged by copying folders
//! together, and the score is a fold over files.
//!
//! Deliberately absent: a list of bugs (the store has it) and any knowledge of checkers.

mod args;
mod exhibit;
mod finding;
mod score;
mod visit;

pub use visit::museum;
