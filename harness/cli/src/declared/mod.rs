//! Targets that are described in a file: reads them, with the place of whatever is wrong.
//!
//! What a description means is the targets crate's affair; here is only its text. A target's name that is a path
//! of a YAML file means the target described there.

mod decode;
mod load;
mod trial;

pub use load::load;
pub(crate) use load::{is_path, label};
pub use trial::trial;

#[cfg(test)]
mod tests;
