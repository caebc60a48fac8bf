//! Sequential specifications: what a data type does when operations come one at a time.
//!
//! [`Model`] is the protocol that a stranger implements to judge a data type of their own; the rest are the
//! models that come built in, by [`ModelName`].

mod collection;
mod counter;
mod kv;
mod lock;
mod model;
mod multi_register;
mod mutex;
mod names;
mod register;
mod set;
mod versioned;

pub use collection::{Collection, CollectionOp, Rule};
pub use counter::{Counter, CounterOp};
pub use kv::{KvAppend, KvOp};
pub use lock::{Fenced, FencedMutex, FencedOp, OwnerMutex, OwnerOp, Semaphore, SemaphoreOp};
pub use model::{BadOp, Effect, Model, bad_op};
pub use multi_register::{Access, MultiRegister};
pub use mutex::{LockOp, Mutex};
pub use names::{ModelInfo, ModelName, UnknownModel, list};
pub use register::{Register, RegisterOp};
pub use set::{Set, SetOp};
pub use versioned::{Versioned, VersionedOp, VersionedRegister};
