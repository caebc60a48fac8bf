//! Unique identifiers: everybody asks for one, all the time.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::unique_ids::UniqueIds as Unique;
use squall_engine::generator::{Context, Generator, draw};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation};
use squall_history::Value;

/// Options of the workload: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {}

/// See the module.
#[derive(Debug)]
pub(crate) struct UniqueIds;

impl UniqueIds {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let Options {} = options("unique-ids", given)?;
        Ok(Arc::new(UniqueIds))
    }
}

impl Workload for UniqueIds {
    fn name(&self) -> &str {
        "unique-ids"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["ids.generate"]
    }

    fn generator(&self, _setting: &Setting) -> Box<dyn Generator> {
        let f: Arc<str> = "generate".into();
        Box::new(draw(move |_: &mut Context| Operation::new(&f, Value::Nil, Value::Nil).on("ids")))
    }

    /// An identifier is unique under any model, or it is none.
    fn checks(&self, _consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        Ok(vec![Box::new(Unique)])
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("generate", 20)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::drawn;

    #[test]
    fn everybody_asks_all_the_time_and_there_is_nothing_to_choose() {
        let ops = drawn(&UniqueIds, 10);
        assert!(ops.len() == 40 && ops.iter().all(|(_, op)| &*op.f == "generate" && !op.read_only));
        assert!(UniqueIds::build(&serde_json::json!({ "keys": 1 })).is_err());
        assert!(UniqueIds::build(&Json::Null).is_ok());
    }
}
