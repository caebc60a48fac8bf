//! Every algorithm against its brute-force twin.

mod brute;
mod build;
mod collections;
mod enumerate;
mod fast;
mod incremental;
mod locks;
mod models;
mod search;
mod whole;
mod zones;
