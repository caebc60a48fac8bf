//! Reading the store: which campaigns and runs it holds, and what came of them.
//!
//! A night is one campaign at one time: `store/<campaign>/<time>`, with a folder a run. The folders are the truth,
//! so stores that were copied together, and campaigns that never ended, are read like any other. Nothing is
//! written here, and links are followed nowhere: `latest` is another name for a night that is there anyway.

mod night;
mod past;

pub(crate) use night::{Night, RESULTS, StoredRun, night_of, nights, results};
pub(crate) use past::{earlier, past};
