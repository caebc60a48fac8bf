//! The short way finds what the careful way finds, and a history in columns is read as its general form.

use squall_history::import::{self, Held};
use squall_history::{History, Value};

use super::super::columns::{plain, plain_of_accesses};
use super::*;
use crate::txn::r#gen::wild;
use crate::txn::random::Random;

/// Sources of reads, findings and ambiguities, by one way or by the other.
fn found(h: &History, careful: bool) -> (Vec<u32>, String) {
    let mut d = Draft::of_history(h, &Value::Nil);
    let initial = d.codes.code(&Value::Nil);
    let owner = owners(&d);
    let mut out = Plain::default();
    let source = if careful {
        let mut source = vec![UNKNOWN; d.events()];
        let odd = vec![true; d.keys.len()];
        odd_keys(&d, &owner, initial, None, &odd, &mut source, &mut out);
        source
    } else {
        resolve(&d, &owner, initial, None, &mut out)
    };
    let reads = (0..d.events() as u32).filter(|&e| !d.event(e).write).map(|e| source[e as usize]).collect();
    (reads, format!("{:?} {:?}", out.findings, out.ambiguous))
}

/// Values moved so that keys share them or not, are far apart, or written twice.
fn distorted(h: &History, random: &mut Random) -> History {
    let (factor, apart) = ([1, 1 << 40][random.below(2) as usize], [0, 100][random.below(2) as usize]);
    let clash = random.one_in(4);
    let mut recorder = crate::txn::r#gen::Recorder::default();
    let change = |value: &Value| {
        let micros = value.as_list().unwrap_or_default().iter().map(|m| match m.as_list() {
            Some([f, Value::Int(key), Value::Int(v)]) => {
                let v = if clash && *v == 3 { 2 } else { *v };
                Value::list([f.clone(), Value::Int(*key), Value::Int(v * factor + key * apart)])
            }
            _ => m.clone(),
        });
        Value::list(micros.collect::<Vec<_>>())
    };
    for op in h.ops() {
        use squall_history::{EventKind, Outcome};
        recorder.push(EventKind::Invoke, op.index, "txn", change(op.input));
        match op.outcome {
            Outcome::Ok => recorder.push(EventKind::Ok, op.index, "txn", change(op.output)),
            Outcome::Fail => recorder.push(EventKind::Fail, op.index, "txn", Value::Nil),
            Outcome::Info => {}
        }
    }
    recorder.finish()
}

#[test]
fn both_ways_find_the_same() {
    let mut random = Random::new(77);
    let mut bad = 0;
    for round in 0..20_000 {
        let h = wild(&mut random, false, 7);
        let h = distorted(&h, &mut random);
        let (short, careful) = (found(&h, false), found(&h, true));
        assert_eq!(short, careful, "round {round}");
        bad += u32::from(short.1.contains("operations"));
    }
    assert!((2_000..18_000).contains(&bad), "{bad}");
}

/// Lines by random sessions: aborted transactions, zeros, values written twice, sessions that speak in turn.
fn text(random: &mut Random) -> String {
    let mut lines = String::new();
    let initial = random.one_in(3);
    if initial {
        (0..3).for_each(|key| lines.push_str(&format!("w({key},0,0,0)\n")));
    }
    let mut txn = 0;
    for value in 1..2 + random.below(14) {
        txn += i64::from(random.below(2) == 0);
        let session = random.below(3) + u64::from(initial);
        let (key, read) = (random.below(3), random.below(2) == 0);
        let value = if read || random.one_in(9) { random.below(8) } else { value };
        let txn = if random.one_in(9) { -1 } else { txn };
        lines.push_str(&format!("{}({key},{value},{session},{txn})\n", if read { 'r' } else { 'w' }));
    }
    lines
}

#[test]
fn columns_are_read_as_their_general_form() {
    let mut random = Random::new(78);
    let mut met = [0u32; 2];
    for round in 0..20_000 {
        let text = text(&mut random);
        let Ok(read) = import::read_held(text.as_bytes(), &import::Options::default()) else { continue };
        let Held::Columns(accesses) = read.history else { panic!("text is read into columns") };
        for initial in [Value::Nil, Value::Int(0)] {
            let general = plain(&accesses.history(), &initial);
            let columns = plain_of_accesses(accesses.clone(), &initial);
            met[usize::from(general.findings.iter().next().is_none())] += 1;
            assert_eq!(format!("{general:?}"), format!("{columns:?}"), "round {round}\n{text}");
        }
    }
    assert!(met.iter().all(|&n| n > 1_000), "{met:?}");
}
