//! Programs that others wrote, in other languages.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use squall_cluster::ClockChange;
use squall_local::clock::ClockPage;

use crate::Case;
use crate::cases::real;
use crate::host::{Guest, SECOND, command, numbers, run};

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "python_reads_the_node_clock", lacks: || missing("python3"), test: python },
        Case { name: "go_reads_the_node_clock", lacks: || missing("etcd"), test: go },
        Case {
            name: "a_static_program_reads_the_node_clock",
            lacks: || missing("gcc"),
            test: static_program,
        },
        Case { name: "a_32_bit_program_is_refused_and_killed", lacks: || missing("gcc"), test: refused },
    ]
}

fn find(program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let candidates = path.split(':').map(|folder| format!("{folder}/{program}"));
    candidates.into_iter().find(|candidate| Path::new(candidate).is_file())
}

fn missing(program: &str) -> Option<String> {
    find(program).is_none().then(|| program.to_owned())
}

const DAY: i64 = 86_400 * SECOND;

fn yesterday() -> ClockPage {
    let clock = ClockPage::new().expect("a clock page");
    clock.set(ClockChange::Jump(-DAY)).expect("a jump");
    clock
}

/// What a program printed, in seconds since 1970, is a time on the node's clock between two true ones.
fn assert_yesterday(seconds: f64, before: i64, after: i64) {
    let slack = 1.0; // some of these print whole seconds
    let (least, most) = ((before - DAY) as f64 / 1e9 - slack, (after - DAY) as f64 / 1e9 + slack);
    assert!((least..=most).contains(&seconds), "{seconds} not in {least}..={most}");
}

fn python() {
    let clock = yesterday();
    let before = real();
    let code = "import time, datetime as d; print(time.time(), d.datetime.now().timestamp())";
    for seconds in numbers(&run(&clock, &["/usr/bin/env", "python3", "-c", code])) {
        assert_yesterday(seconds, before, real());
    }
}

/// etcd begins each line of its log with the time.
fn go() {
    let clock = yesterday();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let etcd = find("etcd").expect("looked for before");
    let argv = [
        etcd.as_str(),
        "--data-dir",
        data.to_str().expect("UTF-8"),
        "--logger",
        "zap",
        "--log-outputs",
        "stdout",
        "--listen-client-urls",
        "http://127.0.0.1:0",
        "--advertise-client-urls",
        "http://127.0.0.1:0",
        "--listen-peer-urls",
        "http://127.0.0.1:0",
        "--initial-advertise-peer-urls",
        "http://127.0.0.1:0",
        "--initial-cluster",
        "default=http://127.0.0.1:0",
    ];
    let mut command = command(&clock, None, "-", &argv);
    let before = real();
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().expect("etcd");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let after = real();
    child.kill().expect("killing etcd");
    child.wait().expect("a status");
    let stamp = line.split("\"ts\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect(&line);
    let seconds = Command::new("date").args(["-d", stamp, "+%s.%N"]).output().expect("date");
    assert_yesterday(numbers(&seconds)[0], before, after);
}

/// Compiles a source with these flags; `None` if the compiler cannot.
fn compile(folder: &Path, name: &str, source: &str, flags: &[&str]) -> Option<String> {
    let (from, to) = (folder.join(name), folder.join("program"));
    std::fs::write(&from, source).expect("writing a source");
    let done = Command::new("gcc").args(flags).arg("-o").args([&to, &from]).stderr(Stdio::null()).status();
    done.expect("gcc").success().then(|| to.to_str().expect("UTF-8").to_owned())
}

fn static_program() {
    const SOURCE: &str = "#include <stdio.h>\n#include <time.h>\n#include <sys/time.h>\n\
        int main() { struct timespec a; struct timeval b; clock_gettime(CLOCK_REALTIME, &a);\n\
        gettimeofday(&b, 0); printf(\"%ld %ld %ld\\n\", a.tv_sec, b.tv_sec, time(0)); }\n";
    let folder = tempfile::tempdir().expect("a folder");
    let Some(program) = compile(folder.path(), "static.c", SOURCE, &["-static"]) else {
        return println!("gcc cannot link statically here");
    };
    let clock = yesterday();
    let before = real();
    for seconds in numbers(&run(&clock, &[&program])) {
        assert_yesterday(seconds, before, real());
    }
}

/// exit(0) in 32-bit code: were it ever to run, it would succeed.
fn refused() {
    const SOURCE: &str = ".globl _start\n_start: movl $1, %eax\nxorl %ebx, %ebx\nint $0x80\n";
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["-m32", "-nostdlib", "-static"];
    let Some(program) = compile(folder.path(), "exit.S", SOURCE, &flags) else {
        return println!("gcc cannot make 32-bit programs here");
    };
    let clock = yesterday();
    let output = run(&clock, &[&program]);
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
    assert_eq!((clock.patched(), clock.refused()), (0, 1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("not a 64-bit program"), "{text}");
    let mut guest =
        Guest::start(&clock, &["/bin/sh", "-c", &format!("read line; {program}; echo 0 $? 0; read line")]);
    assert_eq!(guest.read("go").read, 128 + i64::from(libc::SIGKILL), "its shell lives on and sees why");
}
