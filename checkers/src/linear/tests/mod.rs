//! Every algorithm against its brute-force twin.

mod brute;
mod enumerate;
mod models;
mod search;
