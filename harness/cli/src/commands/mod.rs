//! Commands that list and explain; one file each. What they print is what was asked for, so people's text goes
//! to standard output here, too.

mod doctor;
mod list;
mod manual;
mod schema;

pub use doctor::doctor;
pub use list::list;
pub use manual::{completions, man};
pub use schema::schema;
