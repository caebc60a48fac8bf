//! A bank: money is moved between accounts, and all balances are read together. The total never changes, and
//! nobody owes.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::bank::Bank as Totals;
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation};
use squall_history::Value;

use crate::common::{must_be, of_transactions};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Accounts there are.
    accounts: i64,
    /// What each has at first.
    opening: i64,
    /// The most that is moved at once.
    amount_max: u64,
    /// Share of operations that read.
    reads: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { accounts: 8, opening: 10, amount_max: 5, reads: 0.5 }
    }
}

const ON: &str = "bank";

/// See the module.
#[derive(Debug)]
pub(crate) struct Bank {
    options: Options,
}

impl Bank {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("bank", given)?;
        let money = (0..=1 << 40).contains(&o.opening) && (1..=1 << 40).contains(&o.amount_max);
        if !(2..=1000).contains(&o.accounts) || !money || !(0.0..1.0).contains(&o.reads) {
            return Err(Error::Config(
                "`bank` needs 2 to 1000 accounts, opening >= 0, amount_max >= 1, and reads between 0 and 1 (1 \
                 excluded)"
                    .into(),
            ));
        }
        Ok(Arc::new(Bank { options: o }))
    }

    fn accounts(&self) -> Vec<Value> {
        (0..self.options.accounts).map(Value::Int).collect()
    }

    fn opened(&self) -> Value {
        Value::map(self.accounts().into_iter().map(|a| (a, self.options.opening.into())).collect())
    }
}

impl Workload for Bank {
    fn name(&self) -> &str {
        "bank"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["bank.transfer", "bank.read"]
    }

    fn generator(&self, _setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            options: self.options.clone(),
            opened: self.opened(),
            transfer: "transfer".into(),
            read: "read".into(),
        })
    }

    fn consistency(&self, promised: &str) -> String {
        of_transactions(promised)
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        must_be("bank", consistency, "snapshot-isolation")?;
        let total = Some(self.options.accounts * self.options.opening);
        Ok(vec![Box::new(Totals { total, accounts: Some(self.accounts()), negative_balances: false })])
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("transfer", 10), ("read", 10)]
    }
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    opened: Value,
    transfer: Arc<str>,
    read: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let o = &self.options;
        let op = if ctx.rng.chance(o.reads) {
            Operation::read(&self.read, Value::Nil, self.opened.clone())
        } else {
            let from = ctx.rng.below(o.accounts as u64) as i64;
            // Any but the first.
            let to = (from + 1 + ctx.rng.below(o.accounts as u64 - 1) as i64) % o.accounts;
            let amount = 1 + ctx.rng.below(o.amount_max) as i64;
            let pairs = [("from", from), ("to", to), ("amount", amount), ("opening", o.opening)];
            let pairs = pairs.map(|(name, n)| (Value::str(name), Value::Int(n)));
            Operation::new(&self.transfer, Value::Nil, Value::map(pairs.to_vec()))
        };
        Next::Op(op.on(ON), ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    #[test]
    fn money_goes_from_one_account_to_another() {
        let bank = Bank { options: Options::default() };
        is_decided_by_its_seed(&bank);
        let mut seen = std::collections::BTreeSet::new();
        for (_, op) in drawn(&bank, 200) {
            let pairs = op.value.as_map().unwrap();
            let field = |name: &str| {
                pairs.iter().find(|(k, _)| k.as_str() == Some(name)).and_then(|(_, v)| v.as_int()).unwrap()
            };
            if &*op.f == "read" {
                assert_eq!((op.read_only, pairs.len()), (true, 8));
                continue;
            }
            assert!(field("from") != field("to") && (1..=5).contains(&field("amount")));
            seen.insert((field("from"), field("to")));
        }
        assert_eq!(seen.len(), 8 * 7, "every pair occurs");
    }

    #[test]
    fn what_promises_no_snapshots_is_refused() {
        let bank = Bank { options: Options::default() };
        assert!(bank.checks("strict-serializable").is_ok() && bank.checks("serializable").is_ok());
        assert!(bank.checks("read-committed").is_err());
    }
}
