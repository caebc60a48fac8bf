//! Sequential specifications: what a data type does when operations come one at a time.
//!
//! [`Model`] is the protocol that a stranger implements to judge a data type of their own; the rest are the
//! models that come built in, by [`ModelName`].

mod model;
mod mutex;
mod names;
mod register;

pub use model::{BadOp, Effect, Model, bad_op};
pub use mutex::{LockOp, Mutex};
pub use names::{ModelInfo, ModelName, UnknownModel, list};
pub use register::{Register, RegisterOp};
