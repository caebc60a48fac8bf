//! A history in columns is judged as its general form is: same verdicts, same anomalies, same words.

use squall_history::import::{self, Held, Imported, Options};
use squall_history::{History, Value, export};

use super::any::Transactions;
use super::append::check::ListAppend;
use super::r#gen::{registers, wild};
use super::gen_store::Store;
use super::gen_weak::{LaggingStore, SnapshotStore};
use super::models::{Family, MODELS, Model, model};
use super::random::Random;
use super::strongest::{Plain, Reading};
use crate::{Budget, Check, Verdict};

fn text(verdict: &Verdict) -> String {
    serde_json::to_string(verdict).unwrap()
}

/// What each check says, by both forms, of each model that is named.
fn compare(general: &History, held: Held, models: &[&'static Model], realtime: bool, what: &str) -> bool {
    let Held::Columns(accesses) = held else { return false };
    let budget = Budget::default();
    for initial in [Value::Nil, Value::Int(0)] {
        let reading = Reading { initial, realtime };
        for &model in models {
            let plain = Plain { model, reading: reading.clone() };
            let any = Transactions { model: Some(model), reading: reading.clone() };
            let pairs = [
                (plain.check(general, &budget), plain.check_accesses(accesses.clone(), &budget)),
                (any.check(general, &budget), any.check_accesses(accesses.clone(), &budget)),
            ];
            for (a, b) in pairs {
                assert_eq!(text(&a), text(&b), "{what}: {}", model.name);
            }
            if model.family == Family::Transactions {
                let lists = ListAppend { model, realtime };
                let (a, b) = (lists.check(general, &budget), lists.check_accesses(&accesses, &budget));
                assert_eq!(text(&a), text(&b), "{what}: lists, {}", model.name);
            }
        }
        let any = Transactions { model: None, reading };
        let (a, b) = (any.check(general, &budget), any.check_accesses(accesses.clone(), &budget));
        assert_eq!(text(&a), text(&b), "{what}: strongest");
    }
    true
}

fn few() -> Vec<&'static Model> {
    let names = ["strict-serializable", "snapshot-isolation", "causal", "read-atomic", "read-committed"];
    names.iter().filter_map(|name| model(name)).collect()
}

/// Reads both ways. Whatever is read into columns, is read alike by the reader that knows everything.
fn both(bytes: &[u8], what: &str) -> Option<(Imported, Held)> {
    let options = Options::default();
    let Ok(Some(held)) = import::read_columns(bytes, &options) else { return None };
    let general = import::read(bytes, &options);
    if let Held::General(_) = held.history {
        return None;
    }
    let general = general.unwrap_or_else(|e| panic!("{what}: only columns are read: {e}"));
    assert_eq!(
        (general.format, &general.warnings, general.bytes, general.history.len()),
        (held.format, &held.warnings, held.bytes, held.history.len()),
        "{what}"
    );
    Some((general, held.history))
}

fn edn(h: &History) -> Vec<u8> {
    let mut out = Vec::new();
    export::edn(h, &mut out).unwrap();
    out
}

#[test]
fn edn_of_any_small_history_is_judged_alike() {
    let mut random = Random::new(61);
    let mut columns = 0;
    for round in 0..200 {
        let what = format!("round {round}");
        let h = match round % 3 {
            0 => wild(&mut random, true, 8),
            1 => wild(&mut random, false, 8),
            _ => registers(&mut random, 9, 3, 2),
        };
        let bytes = edn(&h);
        let (general, held) = both(&bytes, &what).unwrap_or_else(|| panic!("{what}: not read into columns"));
        columns += u32::from(compare(&general.history, held, &few(), true, &what));
    }
    assert_eq!(columns, 200);
}

#[test]
fn edn_of_simulated_stores_is_judged_alike() {
    let histories = [
        Store { transactions: 120, ..Store::default() }.run(3),
        Store { transactions: 120, lists: false, ..Store::default() }.run(4),
        SnapshotStore { transactions: 80, sessions: 5, keys: 5 }.run(5),
        LaggingStore { transactions: 40, sessions: 4, keys: 5, length: 3 }.run(6),
    ];
    for (i, h) in histories.iter().enumerate() {
        let what = format!("store {i}");
        let (general, held) = both(&edn(h), &what).unwrap();
        assert!(compare(&general.history, held, &few(), true, &what));
    }
}

/// Damages a text in a few places: most are no history any more, some are another one.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(2) {
        let at = random.below(bytes.len() as u64) as usize;
        let to = (at + 1 + random.below(30) as usize).min(bytes.len());
        match random.below(5) {
            0 => drop(bytes.drain(at..to)),
            1 => bytes[at] = b" ,0159[]{}:-rwnx\n\"#;"[random.below(20) as usize],
            2 => {
                let piece = bytes[at..to].to_vec();
                let into = random.below(bytes.len() as u64) as usize;
                bytes.splice(into..into, piece);
            }
            3 => bytes.truncate(at + 1),
            _ => {
                let digits = (at..bytes.len()).find(|&i| bytes[i].is_ascii_digit());
                digits.into_iter().for_each(|i| bytes[i] = b'0' + random.below(10) as u8);
            }
        }
    }
    bytes
}

#[test]
fn damaged_edn_is_never_read_otherwise() {
    let mut random = Random::new(62);
    let (mut columns, mut rest) = (0, 0);
    for round in 0..3_500 {
        let h = wild(&mut random, round % 2 == 0, 6);
        let bytes = damaged(&edn(&h), &mut random);
        let what = format!("round {round}: {}", String::from_utf8_lossy(&bytes));
        match both(&bytes, &what) {
            Some((general, held)) => {
                columns += 1;
                let name = ["strict-serializable", "causal"][round % 2];
                compare(&general.history, held, &[model(name).unwrap()], true, &what);
            }
            None => rest += 1,
        }
    }
    assert!(columns > 250 && rest > 250, "{columns} {rest}");
}

#[test]
fn every_labelled_history_of_transactions_is_judged_alike() {
    let Some(folder) = super::corpora_tests::folder() else { return };
    let labels = std::fs::read_to_string(folder.join("labels.tsv")).unwrap();
    let mut columns = 0;
    for file in labels.lines().filter_map(|l| l.split('\t').next()) {
        let Ok(bytes) = std::fs::read(folder.join(file)) else { continue };
        if let Some((general, held)) = both(&bytes, file) {
            let realtime = !general.format.name().ends_with("text");
            let all: Vec<&'static Model> = if bytes.len() < 20_000 { MODELS.iter().collect() } else { few() };
            columns += u32::from(compare(&general.history, held, &all, realtime, file));
        }
    }
    assert!(columns > 5, "{columns}");
}
