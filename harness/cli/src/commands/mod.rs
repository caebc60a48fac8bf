//! Commands that judge, list and explain; one file each.

mod list;

pub use list::list;
