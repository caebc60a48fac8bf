//! Inputs to measure the checkers with, generated from seeds. Nothing here reads a clock: who measures,
//! times [`Row::make`] and the check apart.

mod busy;
mod dice;
mod register;
mod rows;

pub use busy::{Answer, Asked, Load, busy};
pub use dice::Dice;
pub use register::{Values, register};
pub use rows::{Row, rows};
