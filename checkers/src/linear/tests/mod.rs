//! Every algorithm against its brute-force twin.

mod brute;
mod build;
mod enumerate;
mod fast;
mod models;
mod search;
mod whole;
mod zones;
