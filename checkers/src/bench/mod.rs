//! Inputs to measure the checkers with, generated from seeds. Nothing here reads a clock: who measures,
//! times [`Row::make`] and the check apart.

mod busy;
mod collection;
mod dice;
mod lock;
mod register;
mod rows;
mod transactions;

pub use busy::{Answer, Asked, Load, busy};
pub use collection::{priority_queue, queue, set, stack};
pub use dice::Dice;
pub use lock::mutex;
pub use register::{Values, register, stale_register};
pub use rows::{Row, rows};
pub use transactions::{Form, TransactionRow, transaction_rows, write_text};
