//! Campaigns, good and bad.

mod bad;
mod fake;
mod flags;
mod matrix;
