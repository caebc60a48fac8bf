//! What the documentation tells people to type is typed: every command of every page, in a folder where the files
//! that it names are there, with a short time limit. What is not run is named here, with the reason.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{finish, squall};

/// Commands that are not run, by how they begin.
const NOT_RUN: [(&str, &str); 8] = [
    ("cargo ", "it builds squall, which `.ci/run` does"),
    (
        "bash .ci/nightly",
        "it builds squall and takes its time; the tests of `ready_made` understand each of its commands",
    ),
    ("bash .ci/release", "it builds squall, statically, and tries out itself what comes of it"),
    ("squall run examples/kubernetes-chaos-mesh/", "it needs Kubernetes with Chaos Mesh"),
    ("squall run examples/", "the tests of the examples run each of them, as long as it needs"),
    ("squall run sound.yaml", "it lies in the folder of an example, whose test runs it"),
    ("squall doctor --provider", "it needs hosts that may be broken; the tests of `ssh` have some"),
    ("sudo ", "it changes the machine"),
];

/// Answers that a command may give: a verdict, whichever it is. A bad argument or a defect is none.
const VERDICTS: [i32; 3] = [0, 1, 2];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Every page, in the order of its path.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs"), root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The commands of a page: of what stands in blocks for a shell, the lines that begin with `$` or a known program.
fn commands(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let (mut within, mut shell) = (false, false);
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            within = !within;
            shell = within && matches!(kind, "console" | "sh" | "");
            continue;
        }
        let begins = ["squall ", "cargo ", "bash ", "sudo "].iter().any(|p| line.starts_with(p));
        if shell && (begins || line.starts_with("$ ")) {
            // Notes stand after a gap.
            let command = line.trim_start_matches("$ ").split("   ").next().unwrap_or(line);
            found.push(command.split("  #").next().unwrap_or(command).trim().to_owned());
        }
    }
    found
}

const REGISTER: &str = "{:type :invoke, :f :write, :value 1, :process 0, :time 0, :index 0}\n\
    {:type :ok, :f :write, :value 1, :process 0, :time 10, :index 1}\n\
    {:type :invoke, :f :cas, :value [1 2], :process 1, :time 20, :index 2}\n\
    {:type :ok, :f :cas, :value [1 2], :process 1, :time 30, :index 3}\n";

const APPENDS: &str = "{:type :invoke, :f :txn, :value [[:append 1 1] [:r 2 nil]], :process 0, :time 0, :index 0}\n\
    {:type :ok, :f :txn, :value [[:append 1 1] [:r 2 []]], :process 0, :time 10, :index 1}\n\
    {:type :invoke, :f :txn, :value [[:r 1 nil] [:append 2 2]], :process 1, :time 20, :index 2}\n\
    {:type :ok, :f :txn, :value [[:r 1 [1]] [:append 2 2]], :process 1, :time 30, :index 3}\n";

/// A folder with everything that the pages name.
struct Desk {
    dir: tempfile::TempDir,
    run: String,
}

impl Desk {
    fn set_up() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
        let short = "nodes: 3\nwarm_up: 200ms\nrate: 300\nfaults: [none]\nseed: 5\n";
        write("campaign.yaml", &format!("name: mine\n{short}targets: [raftkv]\nworkloads: [register]\n"));
        let workload = "workloads: [{register: {cas: 0}}]\ntargets: [raftkv, etcd]\ntime_limit: 1s\n";
        for name in ["weekly", "nightly"] {
            write("made.yaml", &format!("name: {name}\n{short}{workload}"));
            let done = finish(squall().current_dir(dir.path()).args(["run", "made.yaml"]));
            assert!(VERDICTS.contains(&done.code.unwrap_or(-1)), "{}", done.stderr);
        }
        write("a.edn", APPENDS);
        write("b.edn", APPENDS);
        let packed = Command::new("gzip").arg("b.edn").current_dir(dir.path()).status();
        assert!(packed.expect("gzip").success());
        let runs = std::fs::read_dir(dir.path().join("store/latest")).expect("a campaign");
        let mut runs: Vec<String> =
            runs.filter_map(Result::ok).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        runs.sort();
        let run = runs.into_iter().find(|name| name.starts_with("raftkv-")).expect("a run");
        let log = dir.path().join("store/latest").join(&run).join("history.jsonl.zst");
        std::fs::copy(log, dir.path().join("history.jsonl.zst")).expect("its log");
        // `latest` is another one once a page has run something.
        let night = std::fs::canonicalize(dir.path().join("store/latest")).expect("a campaign");
        let run = night.join(run).to_string_lossy().into_owned();
        Desk { dir, run }
    }

    /// A page has a history of its own kind under a name that others use, too.
    fn turn_to(&self, page: &Path, command: &str) {
        let of_lists = page.ends_with("checkers-transactions.md") || command.contains("strongest");
        let text = if of_lists { APPENDS } else { REGISTER };
        std::fs::write(self.dir.path().join("history.edn"), text).expect("a file");
        // Clients are tried out in the folder of one.
        let client = self.dir.path().join("mydb/client.py");
        if client.exists() {
            std::fs::copy(client, self.dir.path().join("client.py")).expect("a client");
        }
    }

    fn shell(&self, command: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_squall")).parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").expect("a PATH");
        let command = command.replace("store/latest/RUN", &self.run);
        let mut shell = Command::new("timeout");
        shell.args(["300", "bash", "-o", "pipefail", "-c", &command]).current_dir(self.dir.path());
        shell.env("PATH", format!("{bin}:{path}"));
        shell.env("SQUALL_TIME_LIMIT", "2s").env("SQUALL_SEED", "7").stdin(Stdio::null());
        shell
    }

    /// One that goes on until it is ended says where it is; then it has answered.
    fn serve(&self, command: &str) {
        let elsewhere = format!("exec {command} --listen 127.0.0.1:0");
        let mut child = self.shell(&elsewhere).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        child.wait().expect("it ends");
        assert!(line.contains("http://127.0.0.1:"), "{command}: {line}");
    }
}

pub fn every_command_of_the_documentation_runs() {
    let desk = Desk::set_up();
    let (mut ran, mut left_out) = (0, 0);
    let mut before = BTreeSet::new();
    for page in pages() {
        for command in commands(&page) {
            if NOT_RUN.iter().any(|(begins, _)| command.starts_with(begins)) {
                left_out += 1;
                continue;
            }
            // What two pages say alike is typed once, where it takes long.
            if command.starts_with("squall run") && !before.insert(command.clone()) {
                continue;
            }
            // The other form stands in front of a server of the reader's.
            let command = command.replace("127.0.0.1:7777", "127.0.0.1:9");
            desk.turn_to(&page, &command);
            if command.starts_with("squall serve") {
                desk.serve(&command);
            } else {
                let output = desk.shell(&command).output().expect("a shell");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let code = output.status.code().unwrap_or(-1);
                assert!(VERDICTS.contains(&code), "{}: {command}: {code}\n{said}", page.display());
            }
            ran += 1;
        }
    }
    assert!(ran >= 25 && left_out < ran, "{ran} commands ran, {left_out} were left out");
}
