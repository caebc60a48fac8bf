//! Small histories through the whole of `check` but its process.

use std::fs;
use std::path::Path;

use clap::Parser;
use squall_checkers::Valid;
use squall_history::Value;

use super::by::By;
use super::one::one;
use crate::args::{CheckArgs, Cli, Command};

const GOOD: &str = "{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1}
";

fn args(words: &[&str]) -> CheckArgs {
    match Cli::try_parse_from(["squall", "check"].iter().chain(words)).unwrap().command {
        Command::Check(args) => args,
        other => panic!("{other:?}"),
    }
}

fn judge(text: &str, words: &[&str]) -> Result<super::Answer, super::Unreadable> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history");
    fs::write(&path, text).unwrap();
    let args = args(&[&["x"], words].concat());
    let initial = args.initial.as_deref().map_or(Value::Nil, |t| serde_json::from_str(t).unwrap());
    let by = By::find(args.model.as_deref(), args.consistency.as_deref(), initial).unwrap();
    one(&path, &by, &args).map(|(answer, _)| answer)
}

#[test]
fn a_small_history_is_judged() {
    let good = judge(GOOD, &["--model", "register"]).unwrap();
    assert_eq!((good.valid, good.operations, good.consistency), (Valid::Yes, 2, "linearizable"));
    assert!(good.peak_bytes > 0 && good.algorithm.is_some());
    let bad = judge(&GOOD.replace(":read, :value 1", ":read, :value 2"), &["--model", "register"]).unwrap();
    assert_eq!((bad.valid, bad.anomalies.len()), (Valid::No, 1));
    assert!(
        bad.text().contains("INVALID: linearizable register is violated in 2 operations"),
        "{}",
        bad.text()
    );
}

#[test]
fn the_initial_value_counts() {
    let read = GOOD.lines().skip(2).collect::<Vec<_>>().join("\n");
    let with = |initial: &[&str]| judge(&read, &[&["--model", "register"], initial].concat()).unwrap().valid;
    assert_eq!(with(&["--initial", "1"]), Valid::Yes);
    assert_eq!(with(&["--initial", "2"]), Valid::No);
    assert_eq!(with(&[]), Valid::No);
}

#[test]
fn what_is_no_history_of_the_model_has_no_verdict() {
    let error = judge(&GOOD.replace("write", "paint"), &["--model", "register"]).unwrap_err();
    assert!(error.error.contains("`paint`"), "{error:?}");
    let error = judge("", &["--model", "register"]).unwrap_err();
    assert!(error.error.contains("empty"), "{error:?}");
    let cut = &GOOD[..GOOD.len() - 20];
    assert!(judge(cut, &["--model", "register"]).is_err());
}

#[test]
fn no_time_is_unknown_with_a_reason() {
    let answer = judge(GOOD, &["--model", "register", "--memory-limit", "0B"]).unwrap();
    // So small a history is decided before anything is asked of the budget, or is left undecided: never more.
    assert!(answer.valid != Valid::No);
    if answer.valid == Valid::Unknown {
        assert!(answer.reason.unwrap().contains("memory limit"));
    }
}

#[test]
fn names_are_looked_up_with_suggestions() {
    let find = |model, consistency| By::find(Some(model), consistency, Value::Nil);
    let error = find("cas-registr", None).unwrap_err();
    assert_eq!(error.0, "--model: no model is named `cas-registr`; did you mean `cas-register`?");
    let error = find("list-append", Some("serialisable")).unwrap_err();
    assert!(error.0.contains("did you mean `serializable`?"), "{error}");
    assert!(find("register", Some("serializable")).is_err());
    assert!(By::find(Some("list-append"), None, Value::Int(3)).is_err());
    assert!(By::find(None, None, Value::Nil).unwrap_err().0.contains("--consistency strongest"));
    assert!(find("fifo-queue", Some("strongest")).is_err());
    let by = find("causal", None).unwrap();
    assert_eq!((by.model(), by.consistency()), ("transactions", "causal"));
    let by = find("list-append", Some("si")).unwrap();
    assert_eq!((by.model(), by.consistency()), ("list-append", "snapshot-isolation"));
}

#[test]
fn a_folder_of_a_run_stands_for_its_log() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("history.jsonl.zst"), GOOD).unwrap();
    let args = args(&["x", "--model", "register"]);
    let by = By::find(Some("register"), None, Value::Nil).unwrap();
    assert_eq!(one(dir.path(), &by, &args).unwrap().0.operations, 2);
    assert!(one(Path::new("/nowhere/at/all"), &by, &args).unwrap_err().error.contains("cannot read"));
}

/// Labelled histories of other projects, where they are at hand.
#[test]
fn labelled_histories_get_their_verdicts() {
    let Some(corpora) = std::env::var_os("SQUALL_CORPORA") else {
        eprintln!("skipped: SQUALL_CORPORA names no folder of labelled histories");
        return;
    };
    let corpora = Path::new(&corpora);
    let labels = fs::read_to_string(corpora.join("labels.tsv")).unwrap();
    let mut judged = 0;
    for row in labels.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (file, format, model, verdict) = (columns[0], columns[1], columns[2], columns[3]);
        let (model, consistency) = model.split_once(' ').map_or((model, None), |(m, c)| (m, Some(c)));
        let initial = match (model, format) {
            ("cas-register" | "multi-register", "edn") => Value::Int(0),
            _ => Value::Nil,
        };
        let Ok(by) = By::find(Some(model), consistency, initial) else { continue };
        // The two wide histories belong to the checkers' own tests.
        let args = args(&["x", "--model", model, "--time-limit", "20s"]);
        let (answer, _) = one(&corpora.join(file), &by, &args).unwrap_or_else(|e| panic!("{e:?}"));
        let expected = if verdict == "valid" { Valid::Yes } else { Valid::No };
        assert_eq!(answer.valid, expected, "{file}: {:?}", answer.reason);
        judged += 1;
    }
    assert!(judged >= 80, "only {judged}");
}

/// AWDIT's files name the strongest level that holds; its levels count session order.
#[test]
fn labelled_transactions_get_their_strongest_level() {
    let Some(corpora) = std::env::var_os("SQUALL_CORPORA") else {
        eprintln!("skipped: SQUALL_CORPORA names no folder of labelled histories");
        return;
    };
    let corpora = Path::new(&corpora);
    let labels = fs::read_to_string(corpora.join("labels.tsv")).unwrap();
    let levels = ["strong-session-read-committed", "strong-session-read-atomic", "causal"];
    let mut judged = 0;
    for row in labels.lines().filter(|row| row.contains("\tawdit-text\t")) {
        let columns: Vec<&str> = row.split('\t').collect();
        let expected = columns[2].rsplit(' ').next().unwrap();
        let mut strongest = "none";
        for level in levels {
            let by = By::find(Some("rw-register"), Some(level), Value::Nil).unwrap();
            let (answer, _) =
                one(&corpora.join(columns[0]), &by, &args(&["x", "--model", "rw-register"])).unwrap();
            if answer.valid == Valid::Yes {
                strongest = level.trim_start_matches("strong-session-");
            }
        }
        assert_eq!(strongest, expected, "{}", columns[0]);
        judged += 1;
    }
    assert!(judged >= 8);
}

/// Every labelled history of transactions is placed on the map as its label says, in every format.
#[test]
fn labelled_transactions_stand_where_they_belong_on_the_map() {
    let Some(corpora) = std::env::var_os("SQUALL_CORPORA") else {
        eprintln!("skipped: SQUALL_CORPORA names no folder of labelled histories");
        return;
    };
    let corpora = Path::new(&corpora);
    let labels = fs::read_to_string(corpora.join("labels.tsv")).unwrap();
    let by = By::find(None, Some("strongest"), Value::Nil).unwrap();
    let mut judged = 0;
    for row in labels.lines().filter(|row| row.starts_with("transactional/")) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (file, model) = (columns[0], columns[2]);
        let words = args(&["x", "--consistency", "strongest", "--time-limit", "60s"]);
        let (answer, _) = one(&corpora.join(file), &by, &words).unwrap_or_else(|e| panic!("{e:?}"));
        let stands = |name: &str| answer.details["models"][name].as_str().unwrap().to_owned();
        if let Some(strongest) = model.strip_prefix("strongest of ") {
            let expected = strongest.rsplit(' ').next().unwrap();
            let levels = ["read-committed", "read-atomic", "causal"];
            let holding = levels.iter().position(|l| *l == expected).map_or(0, |at| at + 1);
            for (i, level) in levels.iter().enumerate() {
                let name =
                    if *level == "causal" { "causal".into() } else { format!("strong-session-{level}") };
                let word = if i < holding { "holds" } else { "violated" };
                assert_eq!(stands(&name), word, "{file}: {name}");
            }
        } else {
            let violated = model.rsplit(' ').next().unwrap();
            assert_eq!(stands(violated), "violated", "{file}");
        }
        // Neighbours on the map agree, whatever was asked and whatever followed.
        for m in squall_checkers::MODELS {
            for weaker in m.implies {
                assert!(
                    !(stands(m.name) == "holds" && stands(weaker) == "violated"),
                    "{file}: {} without {weaker}",
                    m.name
                );
            }
        }
        let text = answer.text();
        assert!(text.contains("VIOLATED, the weakest"), "{text}");
        judged += 1;
    }
    assert!(judged >= 11, "only {judged}");
}

#[test]
fn a_register_has_a_place_on_the_map_too() {
    let map = |text: &str| judge(text, &["--consistency", "strongest"]).unwrap();
    let good = map(GOOD);
    assert_eq!(
        (good.valid, &good.details["strongest"]),
        (Valid::Yes, &serde_json::json!(["strict-serializable"]))
    );
    // Twice the same value: reads do not name their write, and yet nothing is wrong.
    let twice = GOOD.lines().take(2).collect::<Vec<_>>().join("\n") + "\n" + GOOD;
    let answer = map(&twice);
    assert_eq!(answer.details["models"]["linearizable"], "holds");
    assert_eq!(answer.details["follows"]["causal"].as_str(), Some("linearizable"), "{:#?}", answer.details);
    // A read of what was never written violates everything that is asked of it.
    let bad = map(&GOOD.replace(":read, :value 1", ":read, :value 2"));
    assert_eq!(bad.details["models"]["linearizable"], "violated");
    assert!(bad.text().contains("ThinAirRead"), "{}", bad.text());
}
