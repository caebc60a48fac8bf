//! Reads, answered from the state machine as it is; how fresh that is was settled before.

use super::asks::{Query, Reply};
use super::error::ApiError;
use crate::kv::{Answer, Op, OpResult, Store, Txn};

/// What `query` sees now.
pub fn answer_query(store: &Store, query: &Query) -> Result<Reply, ApiError> {
    let applied = store.applied();
    match query {
        Query::Get(key) => Ok(Reply::Value { found: store.get(key).cloned(), applied }),
        Query::Range { start, end, limit } => {
            let op = Op::Range { start: start.clone(), end: end.clone(), limit: *limit };
            match store.query(&Txn { then: vec![op], ..Txn::default() }) {
                Answer::Txn { results, .. } => match results.into_iter().next() {
                    Some(OpResult::Range { items, more }) => Ok(Reply::Range { items, more, applied }),
                    other => unreachable!("a range answers with a range, not {other:?}"),
                },
                other => unreachable!("a range cannot fail: {other:?}"),
            }
        }
        Query::Txn(txn) => match store.query(txn) {
            Answer::Refused(why) => Err(ApiError::Conflict(why)),
            answer => Ok(Reply::Queried(answer)),
        },
    }
}
