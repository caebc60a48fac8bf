//! A client: one connection to one node, a method for each request, typed answers and errors.
//!
//! It never retries, never follows anybody to another node and has no pool: a change is sent at most once, and an
//! error says whether it certainly did nothing ([`ClientError::definite`]). After an error of the connection the
//! client is of no further use; connect anew.
//!
//! ```no_run
//! # async fn example() -> Result<(), squall_raftkv::client::ClientError> {
//! use serde_json::json;
//! use squall_raftkv::client::{Client, Consistency};
//!
//! let mut client = Client::connect("10.0.0.1:7000").await?;
//! let version = client.put("greeting", &json!("hello")).await?;
//! let found = client.get("greeting", Consistency::Linearizable).await?;
//! assert!(found.version >= version);
//! # Ok(())
//! # }
//! ```

mod calls;
mod connection;
mod error;
mod types;

pub use connection::{Client, MAX_ANSWER_BYTES};
pub use error::ClientError;
pub use types::{
    Cas, Change, Changes, Consistency, Deleted, Found, Hash, Item, Locked, Members, Range, RangeQuery,
    Status, TxnAnswer,
};
