//! `squall check-client`: tries a client program out and catches the classic mistakes.
//!
//! The program speaks to a server on this machine's loopback that can fall silent or hang up in the middle of a
//! request; behind it may stand a real system (`--server`). What is found is about the client alone.

mod command;
mod exam;
mod server;

pub use command::check_client;
