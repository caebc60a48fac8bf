//! What checks of transactions are measured by: histories made from seeds, and what each row should reach.
//!
//! The distributions are those by which other checkers were measured (see [`crate::txn::gen_store`]). A row names
//! the form in which its history is written, so that reading it is measured too; who measures, runs each in a
//! process of its own.

use std::io::{self, Write};

use squall_history::History;

use crate::txn::gen_store::{Serial, Store};
use crate::txn::gen_weak::SnapshotStore;
use crate::txn::micro::{Micro, list, micro};

/// How a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Jepsen's EDN.
    Edn,
    /// A line an operation: `r(key,value,session,transaction)`.
    Text,
}

/// One measurement: make the history, write it, and let a fresh process judge it.
#[derive(Clone, Debug)]
pub struct TransactionRow {
    /// Its name in the table.
    pub name: &'static str,
    /// Transactions.
    pub transactions: u64,
    /// How its history is written.
    pub form: Form,
    /// What it is judged by.
    pub model: &'static str,
    /// The consistency.
    pub consistency: &'static str,
    /// The history, the same each time.
    pub make: fn() -> History,
    /// Seconds of the check that are to be reached.
    pub check_seconds: Option<f64>,
    /// Seconds of reading and checking together that are to be reached.
    pub whole_seconds: Option<f64>,
    /// Bytes of resident memory that are to be reached.
    pub peak_bytes: Option<u64>,
    /// What others took.
    pub peer: &'static str,
}

const MB: u64 = 1_000_000;

fn store(transactions: u64, lists: bool) -> History {
    Store { transactions, lists, ..Store::default() }.run(1)
}

fn serial(sessions: u32) -> History {
    Serial { transactions: 100_000, sessions, keys: 1000, operations: 10 }.run(7)
}

/// All rows, cheapest inputs first.
pub fn transaction_rows() -> Vec<TransactionRow> {
    let lists = |name, transactions, make, check_seconds| TransactionRow {
        name,
        transactions,
        form: Form::Edn,
        model: "list-append",
        consistency: "strict-serializable",
        make,
        check_seconds: Some(check_seconds),
        whole_seconds: None,
        peak_bytes: None,
        peer: "",
    };
    let text = |name, transactions, consistency, make, whole, peak, peer| TransactionRow {
        name,
        transactions,
        form: Form::Text,
        model: "rw-register",
        consistency,
        make,
        check_seconds: None,
        whole_seconds: Some(whole),
        peak_bytes: Some(peak * MB),
        peer,
    };
    vec![
        TransactionRow {
            peer: "Elle 3.7 s warm",
            ..lists("list-append, 100k", 100_000, || store(100_000, true), 0.15)
        },
        TransactionRow {
            consistency: "serializable",
            ..lists("list-append with anomalies, 100k", 100_000, || snapshots(100_000, 10), 1.0)
        },
        TransactionRow {
            consistency: "serializable",
            peer: "Elle: no answer in its 1 s for a search",
            ..lists("one component of 20k", 20_000, || snapshots(20_000, 100), 10.0)
        },
        text(
            "causal, 20 sessions, 1M operations in 100k",
            100_000,
            "causal",
            || serial(20),
            1.0,
            400,
            "AWDIT 2.3 s, 1000 MB",
        ),
        text(
            "causal, 100 sessions, 1M operations in 100k",
            100_000,
            "causal",
            || serial(100),
            1.0,
            400,
            "AWDIT 7.1 s, 3400 MB",
        ),
        text("causal, 1M", 1_000_000, "causal", || store(1_000_000, false), 1.2, 400, "AWDIT 4.9 s, 1382 MB"),
        text(
            "read atomic, 1M",
            1_000_000,
            "strong-session-read-atomic",
            || store(1_000_000, false),
            0.8,
            300,
            "AWDIT 3.1 s, 755 MB",
        ),
        text(
            "read committed, 1M",
            1_000_000,
            "strong-session-read-committed",
            || store(1_000_000, false),
            0.8,
            300,
            "AWDIT 2.2 s, 447 MB",
        ),
        TransactionRow {
            model: "rw-register",
            consistency: "serializable",
            peer: "Elle 46 s, 10.7 GB",
            ..lists("rw-register, 1M", 1_000_000, || store(1_000_000, false), 2.0)
        },
        TransactionRow {
            whole_seconds: Some(5.0),
            peak_bytes: Some(1500 * MB),
            peer: "Elle 55 s, 15 GB; with reading 93 s",
            ..lists("list-append, 1M", 1_000_000, || store(1_000_000, true), 1.5)
        },
    ]
}

/// Write skews abound: with many sessions nearly everything is in one circle.
fn snapshots(transactions: u64, sessions: u32) -> History {
    SnapshotStore { transactions, sessions, keys: 10 }.run(1)
}

/// Writes reads and writes a line each: `r(key,value,session,transaction)`, a read of nothing as 0.
pub fn write_text(history: &History, mut out: impl Write) -> io::Result<()> {
    for op in history.ops() {
        for m in list(&op).unwrap_or_default().iter().filter_map(micro) {
            let (f, key, value) = match m {
                Micro::Read(key, value) => ('r', key, value),
                Micro::Write(key, value) | Micro::Append(key, value) => ('w', key, value),
            };
            let number = |v: &squall_history::Value| v.as_int().unwrap_or(0);
            writeln!(out, "{f}({},{},{},{})", number(key), number(value), op.process, op.index)?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_line_an_operation() {
        let h = Serial { transactions: 2, sessions: 1, keys: 2, operations: 3 }.run(7);
        let mut text = Vec::new();
        write_text(&h, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(text.lines().all(|l| l.starts_with("r(") || l.starts_with("w(")), "{text}");
        assert!(text.lines().last().unwrap().ends_with(",0,1)"), "{text}");
    }

    #[test]
    fn rows_name_models_and_have_a_goal() {
        for row in transaction_rows() {
            assert!(crate::txn::models::model(row.consistency).is_some(), "{}", row.name);
            assert!(row.check_seconds.is_some() || row.whole_seconds.is_some(), "{}", row.name);
        }
    }
}
