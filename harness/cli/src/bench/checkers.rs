//! How long linearizability takes: reading and checking apart, and the most memory that was resident.
//!
//! Every input has a process of its own, so that what one holds is not counted for the next. Inputs of up to
//! a million operations are written as Jepsen's EDN and read back as `squall check` would; larger ones are
//! judged as they were made. Nothing counts that was held while an input was made.

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use squall_checkers::bench::{Row as Input, rows as inputs};
use squall_checkers::linear::{Options, check_model};
use squall_checkers::models::ModelName;
use squall_checkers::{Budget, Valid};
use squall_history::import::{self, Keyed};
use squall_history::{History, export};

use super::{OPERATIONS_MAX, Row};
use crate::check::{peak_bytes, reset_peak};
use crate::output::print_json;

/// Tells a process of ours which input is its own.
const INPUT: &str = "SQUALL_BENCH_INPUT";
/// Names the folder of labelled histories, if there is one.
const CORPORA: &str = "SQUALL_CORPORA";
/// The input that is a folder of logs.
const LOGS: &str = "etcd logs";

/// Measures every input, or the one that this process is for, and prints a row for each figure.
pub(super) fn rows() -> anyhow::Result<()> {
    if let Ok(name) = env::var(INPUT) {
        if name == LOGS {
            return logs();
        }
        let input = inputs().into_iter().find(|input| input.name == name);
        return measure(&input.with_context(|| format!("{INPUT}: there is no input `{name}`"))?);
    }
    let this = env::current_exe().context("this program cannot be found")?;
    let names = inputs().into_iter().map(|input| input.name);
    for name in names.chain(env::var_os(CORPORA).map(|_| LOGS)) {
        let status = Command::new(&this).args(["bench", "checkers"]).env(INPUT, name).status();
        let status = status.with_context(|| format!("{} cannot be started", this.display()))?;
        if !status.success() {
            bail!("measuring `{name}` ended with {status}");
        }
    }
    Ok(())
}

fn measure(input: &Input) -> anyhow::Result<()> {
    let made = (input.make)();
    let prefix = format!("checkers/linearizable/{}", input.name);
    let history = if input.operations as usize <= OPERATIONS_MAX {
        let file = Scratch(env::temp_dir().join(format!("squall-bench-{}.edn", std::process::id())));
        write(&made, &file.0)?;
        let keyed = if made.is_keyed() { Keyed::Yes } else { Keyed::No };
        drop(made);
        reset_peak();
        let begun = Instant::now();
        let read = import::read_file(&file.0, &import::Options { keyed, clock_error: 0 })?;
        let seconds = begun.elapsed().as_secs_f64();
        print_json(&Row::new(format!("{prefix}/parse"), seconds, "s"))?;
        let rate = read.history.len() as f64 / seconds;
        print_json(&Row::new(format!("{prefix}/parse rate"), rate, "operations/s").reach(2e6))?;
        read.history
    } else {
        reset_peak();
        made
    };
    let begun = Instant::now();
    let verdict = check_model(&history, &input.options, &Budget::default());
    let seconds = begun.elapsed().as_secs_f64();
    if verdict.valid == Valid::Unknown {
        bail!("{}: {}", input.name, verdict.reason.unwrap_or_default());
    }
    let note = Some(format!("{} operations, {}", history.len(), verdict.algorithm.unwrap_or_default()));
    let peer = input.peer.map(str::to_owned);
    let check =
        Row { reach: input.reach_seconds, peer, note, ..Row::new(format!("{prefix}/check"), seconds, "s") };
    print_json(&check)?;
    print_json(&Row::new(format!("{prefix}/check rate"), history.len() as f64 / seconds, "operations/s"))?;
    print_json(&Row::new(format!("{prefix}/peak"), peak_bytes() as f64, "bytes"))?;
    Ok(())
}

/// A file that goes when this does.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is in the folder of temporary files.
        let _ = fs::remove_file(&self.0);
    }
}

fn write(history: &History, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(path).with_context(cannot)?);
    export::edn(history, &mut out).with_context(cannot)?;
    out.flush().with_context(cannot)
}

/// The labelled logs of etcd's register, read and judged one after the other.
fn logs() -> anyhow::Result<()> {
    let corpora = PathBuf::from(env::var_os(CORPORA).unwrap_or_default());
    let labels = corpora.join("labels.tsv");
    let labels = fs::read_to_string(&labels).with_context(|| format!("cannot read {}", labels.display()))?;
    let rows: Vec<Vec<&str>> = labels.lines().map(|l| l.split('\t').collect()).collect();
    let logs = rows.iter().filter(|row| row.get(1) == Some(&"jepsen-log"));
    let (mut count, mut right, mut operations) = (0u32, 0u32, 0);
    reset_peak();
    let begun = Instant::now();
    for row in logs {
        let [file, _, _, expected, ..] = row.as_slice() else { bail!("labels.tsv: {row:?}") };
        let read = import::read_file(&corpora.join(file), &import::Options::default())?;
        let options = Options::new(ModelName::CasRegister);
        let verdict = check_model(&read.history, &options, &Budget::default());
        count += 1;
        operations += read.history.len();
        right += u32::from((verdict.valid == Valid::Yes) == (*expected == "valid"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    if right < count {
        bail!("{} of {count} verdicts are wrong", count - right);
    }
    let note = Some(format!("{count} files, {operations} operations, all verdicts right"));
    let peer = Some("0.25 s (Porcupine 1.3.0)".to_owned());
    let row = Row::new("checkers/linearizable/etcd logs/parse and check", seconds, "s").reach(0.025);
    print_json(&Row { note, peer, ..row })?;
    print_json(&Row::new("checkers/linearizable/etcd logs/peak", peak_bytes() as f64, "bytes"))?;
    Ok(())
}
