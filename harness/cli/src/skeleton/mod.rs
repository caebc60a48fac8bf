//! `squall new-target`: a folder with a target, a client and a campaign that run as they are, to be changed.

mod command;

pub use command::new_target;
