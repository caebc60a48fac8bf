//! Every algorithm against its brute-force twin.

mod brute;
mod build;
mod enumerate;
mod fast;
mod incremental;
mod models;
mod search;
mod whole;
mod zones;
