//! Values of flags that have a form of their own.

use std::str::FromStr;

use crate::campaign::Cell;

/// Faults that act together: `partition,kill`, or `partition, {clock: {max_offset: 60s}}`. Empty for `none`.
#[derive(Clone, Debug, PartialEq)]
pub struct Together(pub Vec<Cell>);

impl FromStr for Together {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Cell::parse_list(text).map(Together)
    }
}
