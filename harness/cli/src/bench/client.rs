//! What the protocol of foreign clients costs: programs that answer at once, one in Python and one compiled.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use squall_engine::protocol::Client as _;
use squall_engine::{Error, Operation, Outcome};
use squall_targets::external::{ExternalClient, Hello, Host, Open, PROTOCOL, Program, Spec};

use super::Row;

/// The name under which this executable plays the compiled client.
pub(super) const ECHO: &str = "client-echo";

const PROCESSES: usize = 64;
const OPERATIONS: usize = 200_000;
const ALONE: usize = 5_000;

const PYTHON: &str = r#"
import json, sys
write, flush = sys.stdout.write, sys.stdout.flush
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        write('{"type":"hello","protocol":1}\n')
    elif ask["type"] != "close":
        write(json.dumps({"type": "ok", "process": ask["process"], "id": ask["id"]}) + "\n")
    flush()
"#;

/// Operations a second of many processes, and the time that one operation of one process takes.
pub(super) async fn rows() -> Result<Vec<Row>, Error> {
    let myself = std::env::current_exe().map_err(|e| Error::io("finding this executable", e))?;
    let compiled: Vec<OsString> = vec![myself.into(), "bench".into(), ECHO.into()];
    let mut rows = measure("compiled", compiled, 150_000.0).await?;
    let python: Vec<OsString> = ["python3", "-c", PYTHON].map(OsString::from).into();
    match measure("python", python, 20_000.0).await {
        Ok(more) => rows.extend(more),
        Err(Error::Missing(_)) => {}
        Err(e) => return Err(e),
    }
    Ok(rows)
}

async fn measure(name: &str, argv: Vec<OsString>, reach: f64) -> Result<Vec<Row>, Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let program = Arc::new(start(argv, dir.path()).await?);
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..PROCESSES {
        tasks.spawn(act(program.clone(), OPERATIONS / PROCESSES));
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Error::Broken(format!("a process's task ended: {e}")))??;
    }
    let rate = OPERATIONS as f64 / begun.elapsed().as_secs_f64();
    let mut times = act(program.clone(), ALONE).await?;
    times.sort_unstable();
    let p50 = times[times.len() / 2] as f64 / 1e3;
    program.end().await;
    let note = |text: String| Some(text);
    Ok(vec![
        Row {
            note: note(format!("{OPERATIONS} operations of {PROCESSES} processes, one program")),
            ..Row::new(format!("client/{name}/rate"), rate, "operations/s").reach(reach)
        },
        Row {
            note: note("one process, one operation at a time".to_owned()),
            ..Row::new(format!("client/{name}/p50"), p50, "µs").reach(30.0)
        },
    ])
}

async fn start(argv: Vec<OsString>, dir: &Path) -> Result<Program, Error> {
    let spec = Spec { name: "client".into(), argv, env: BTreeMap::new(), cwd: dir.to_owned() };
    let hello =
        Hello { protocol: PROTOCOL, target: "bench".into(), options: BTreeMap::new(), nodes: Vec::new() };
    Program::start(&Host::Machine(dir.to_owned()), &spec, "the client", &hello).await
}

/// So many writes of one process, one after another, with how long each took in nanoseconds.
async fn act(program: Arc<Program>, operations: usize) -> Result<Vec<u64>, Error> {
    let open = Open { node: "n1".into(), host: "127.0.0.1".into(), port: 1, bind: None };
    let mut client = ExternalClient::open(program, &open, false).await?;
    let f: Arc<str> = "write".into();
    let mut times = Vec::with_capacity(operations);
    for value in 0..operations {
        let op = Operation::new(&f, 1.into(), (value as i64).into());
        let begun = Instant::now();
        let done = client.invoke(&op).await;
        times.push(begun.elapsed().as_nanos() as u64);
        if !matches!(done.outcome, Outcome::Ok(_)) {
            return Err(Error::Target(format!("the client answered {done:?}")));
        }
    }
    Ok(times)
}

/// The compiled client: answers `ok` to everything, as fast as lines come.
pub(super) fn echo() -> std::io::Result<()> {
    let mut input = std::io::BufReader::with_capacity(64 << 10, std::io::stdin().lock());
    let mut output = std::io::BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return output.flush();
        }
        match (number(&line, "\"process\":"), number(&line, "\"id\":")) {
            (Some(process), Some(id)) => {
                writeln!(output, "{{\"type\":\"ok\",\"process\":{process},\"id\":{id}}}")?;
            }
            (Some(_), None) => {}
            _ => writeln!(output, "{{\"type\":\"hello\",\"protocol\":{PROTOCOL}}}")?,
        }
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
}

fn number<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = &line[line.find(key)? + key.len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()
}
