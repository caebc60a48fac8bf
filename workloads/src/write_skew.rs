//! Write skew (Adya's G2): for each key two clients insert a row, one into each of two tables, and each only if
//! neither row is there. At most one may succeed.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::watch::Watch;
use squall_checkers::workload::write_skew::WriteSkew as Skew;
use squall_checkers::{Budget, Check, Live};
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation};
use squall_history::Value;

use crate::common::{must_be, number, of_transactions};

/// Options of the workload: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {}

/// See the module.
#[derive(Debug)]
pub(crate) struct WriteSkew;

impl WriteSkew {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let Options {} = options("write-skew", given)?;
        Ok(Arc::new(WriteSkew))
    }
}

impl Workload for WriteSkew {
    fn name(&self) -> &str {
        "write-skew"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["skew.insert"]
    }

    fn generator(&self, _setting: &Setting) -> Box<dyn Generator> {
        Box::new(Pairs { next: 0, insert: "insert".into() })
    }

    fn consistency(&self, promised: &str) -> String {
        of_transactions(promised)
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        must_be("write-skew", consistency, "serializable")?;
        Ok(vec![Box::new(Skew)])
    }

    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        Some(Box::new(Watch::new(Box::new(Skew), Budget::default(), LIVE_EVERY)))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("insert", 20)]
    }
}

/// While a run goes on it is judged again after so many operations at the earliest.
const LIVE_EVERY: usize = 200;

/// Hands out pairs: the first who asks gets one table, the next the other.
///
/// Which worker gets which depends on who asks first, and has to: the two of a pair must meet. What is handed
/// out is the same in every run.
#[derive(Debug)]
struct Pairs {
    next: i64,
    insert: Arc<str>,
}

impl Generator for Pairs {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let (key, first) = (self.next / 2, self.next % 2 == 0);
        self.next += 1;
        let row = Value::Int(number(ctx) as i64);
        let rows = if first { [row, Value::Nil] } else { [Value::Nil, row] };
        Next::Op(Operation::new(&self.insert, key.into(), Value::list(rows)).on("skew"), ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::drawn;

    #[test]
    fn every_key_is_tried_once_in_each_table() {
        let ops = drawn(&WriteSkew, 50);
        for (k, pair) in ops.chunks(2).enumerate() {
            let [(_, a), (_, b)] = pair else { panic!("an even number") };
            assert_eq!((&a.key, &b.key), (&Value::Int(k as i64), &Value::Int(k as i64)));
            assert!(a.value.as_pair().unwrap().1.is_nil() && b.value.as_pair().unwrap().0.is_nil());
        }
        assert_eq!(ops, drawn(&WriteSkew, 50));
        assert!(WriteSkew.checks("snapshot-isolation").is_err());
    }
}
