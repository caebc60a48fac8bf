//! Programs on nodes: started, ended, killed, paused.

use std::time::Duration;

use squall_cluster::{Error, Exit, Program, ProgramState};
use squall_local::testing::Test;

use crate::support::{Host, LIMIT, ask, eventually, role, shell, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("a node is a host of its own", own_host),
        test("a command's exit code, signal and output are told", commands),
        test("a command that does not end is ended", endless),
        test("a program that cannot start says exactly why", cannot_start),
        test("a program has its files, environment, folder and log", surroundings),
        test("a program's end is told, with whether it was asked for", exits),
        test("kill leaves nothing, paused or not", kill),
        test("stop asks first and kills after the grace", stop),
        test("a paused node stands still until it is resumed", pause),
        test("wipe removes the data of a node at rest", wipe),
        test("a node whose init is killed says that it is gone", init_killed),
    ]
}

async fn own_host() {
    let host = Host::up(2).await;
    let node = host.node(1);
    assert_eq!((node.name(), node.index()), ("n2", 1));
    assert_eq!(shell(node, "hostname; id -u").await, "n2\n0");
    assert_eq!(shell(node, "cat /proc/sys/kernel/hostname /proc/self/comm").await, "n2\ncat");
    assert_eq!(ask(node, &["others"]).await, "0", "it sees its own processes only");
    assert!(shell(node, "cat /etc/hosts").await.contains("10.77.0.1 n1"));
    // Signals 32 and 33 belong to the C library, which does not let anybody set them.
    let ignored = shell(node, "sed -n 's/^SigIgn:\t........//p' /proc/self/status").await;
    assert_eq!(u32::from_str_radix(&ignored, 16).unwrap() & 0x7fff_ffff, 0, "programs heed all signals");
    assert!(shell(node, "grep SigBlk /proc/self/status").await.ends_with("0000000000000000"));
    assert_eq!(shell(node, "ls /proc/self/fd | wc -l").await, "4", "0, 1, 2 and that of ls");
    // What one node puts into a private folder, its neighbour does not see.
    shell(host.node(0), "touch /dev/shm/mine /run/mine").await;
    shell(node, "test ! -e /dev/shm/mine && test ! -e /run/mine").await;
    // The machine's clock is out of reach.
    let output = node.run(&Program::new("date", ["date", "-s", "2001-01-01"]), LIMIT).await.unwrap();
    assert_eq!(output.exit, Exit::Code(1));
    host.down().await;
}

async fn commands() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let run = async |command: &str| node.run(&Program::new("sh", ["sh", "-c", command]), LIMIT).await;
    let output = run("echo out; echo err >&2; exit 3").await.unwrap();
    assert_eq!(
        (output.exit, &output.stdout[..], &output.stderr[..]),
        (Exit::Code(3), &b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(run("kill -SEGV $$").await.unwrap().exit, Exit::Signal(11));
    // More than is kept does not block the command, and a child left behind does not block the answer.
    let output = run("head -c 3000000 /dev/zero; sleep 1000 & exit 0").await.unwrap();
    assert_eq!((output.exit, output.stdout.len()), (Exit::Code(0), 1 << 20));
    assert_eq!(node.state("sh"), ProgramState::Absent, "commands are no programs");
    host.down().await;
}

async fn endless() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let command = Program::new("slow", ["sh", "-c", "echo thinking; sleep 1000"]);
    let error = node.run(&command, Duration::from_millis(300)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout(text) if text.contains("slow on n1") && text.contains("thinking")),
        "{error}"
    );
    eventually("its processes are gone", || async { ask(node, &["others"]).await == "0" }).await;
    host.down().await;
}

async fn cannot_start() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let why =
        async |argv: &[&str]| node.start(&Program::new("it", argv.iter())).await.unwrap_err().to_string();
    let missing = why(&["no-such-program"]).await;
    assert!(
        missing.contains("starting it on n1: executing no-such-program, which is in no folder of PATH="),
        "{missing}"
    );
    assert!(why(&["/no/such/program"]).await.contains("/no/such/program: No such file or directory"));
    std::fs::write(node.data_dir().join("plain"), "").unwrap();
    assert!(why(&["./plain"]).await.contains("executing ./plain: Permission denied"));
    std::fs::write(host.dir.path().with_extension("outside"), "").unwrap();
    let outside = host.dir.path().with_extension("outside");
    assert!(why(&[outside.to_str().unwrap()]).await.contains("each node has a /tmp"));
    std::fs::remove_file(outside).unwrap();
    assert!(why(&[]).await.contains("there is no executable"));
    let mut elsewhere = Program::new("it", ["true"]);
    elsewhere.cwd = Some("/no/such/folder".into());
    assert!(node.start(&elsewhere).await.unwrap_err().to_string().contains("entering /no/such/folder"));
    assert_eq!(node.state("it"), ProgramState::Absent);
    let slash = node.start(&Program::new("a/b", ["true"])).await.unwrap_err();
    assert!(matches!(slash, Error::Invalid(_)), "{slash}");
    node.start(&role("it", &["stubborn".into()])).await.unwrap();
    let twice = node.start(&role("it", &["stubborn".into()])).await.unwrap_err();
    assert!(twice.to_string().contains("it runs on n1 already"), "{twice}");
    host.down().await;
}

async fn surroundings() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let mut program = Program::new(
        "p",
        ["sh", "-c", "pwd; echo $HOME $COLOUR $LANG; cat etc/a.conf /run/b.conf; env | wc -l"],
    );
    program.env.insert("COLOUR".into(), "blue".into());
    program.files = vec![("etc/a.conf".into(), b"A\n".to_vec()), ("/run/b.conf".into(), vec![b'B'; 300_000])];
    for _ in 0..2 {
        node.start(&program).await.unwrap();
        eventually("it has ended", || async { node.state("p") == ProgramState::Exited(Exit::Code(0)) }).await;
    }
    let data = node.data_dir().display();
    let once = format!("{data}\n{data} blue C.UTF-8\nA\n{}5\n", "B".repeat(300_000));
    let log = std::fs::read_to_string(node.log_dir().join("p.log")).unwrap();
    // The shell adds PWD to PATH, HOME, LANG and what is asked for.
    assert_eq!(log, once.repeat(2), "appended over restarts");
    assert_eq!(std::fs::read(node.data_dir().join("etc/a.conf")).unwrap(), b"A\n", "the data is on the disk");
    host.down().await;
}

async fn exits() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let mut exits = node.exits();
    node.start(&Program::new("a", ["sh", "-c", "exit 7"])).await.unwrap();
    let end = exits.recv().await.unwrap();
    assert_eq!((end.node, &*end.program, end.exit, end.expected), (0, "a", Exit::Code(7), false));
    node.start(&Program::new("b", ["sleep", "1000"])).await.unwrap();
    let ProgramState::Running { pid } = node.state("b") else { panic!("{:?}", node.state("b")) };
    let outside = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(outside, "sleep\x001000\0", "the process id is the machine's");
    assert_eq!(node.kill().await.unwrap(), 1);
    let end = exits.recv().await.unwrap();
    assert_eq!((&*end.program, end.exit, end.expected), ("b", Exit::Signal(9), true));
    host.down().await;
}

async fn kill() {
    let host = Host::up(1).await;
    let node = host.node(0);
    for (round, paused) in [(1, false), (2, true)] {
        node.start(&role("spawner", &["spawner".into()])).await.unwrap();
        eventually("its children run", || async {
            let log = std::fs::read_to_string(node.log_dir().join("spawner.log")).unwrap();
            log.matches("ready").count() == 4 * round && ask(node, &["others"]).await == "4"
        })
        .await;
        if paused {
            node.pause().await.unwrap();
        }
        assert_eq!(node.kill().await.unwrap(), 1);
        assert_eq!(node.state("spawner"), ProgramState::Exited(Exit::Signal(9)));
        assert_eq!(ask(node, &["others"]).await, "0");
    }
    assert_eq!(node.kill().await.unwrap(), 0, "killing nothing is no error");
    host.down().await;
}

async fn stop() {
    let host = Host::up(1).await;
    let node = host.node(0);
    node.start(&Program::new("meek", ["sleep", "1000"])).await.unwrap();
    assert_eq!(node.stop("meek", LIMIT).await.unwrap(), Exit::Signal(15));
    assert_eq!(node.stop("meek", LIMIT).await.unwrap(), Exit::Signal(15), "it has ended already");
    node.start(&role("stubborn", &["stubborn".into()])).await.unwrap();
    eventually("it heeds no signals", || async {
        std::fs::read_to_string(node.log_dir().join("stubborn.log")).unwrap().contains("ready")
    })
    .await;
    assert_eq!(node.stop("stubborn", Duration::from_millis(50)).await.unwrap(), Exit::Signal(9));
    assert!(
        node.stop("nobody", LIMIT).await.unwrap_err().to_string().contains("nobody was never started on n1")
    );
    host.down().await;
}

async fn pause() {
    let host = Host::up(1).await;
    let node = host.node(0);
    let counter = || std::fs::read_to_string(node.data_dir().join("counter")).unwrap_or_default();
    assert!(!node.is_paused().await.unwrap(), "an empty node is not paused");
    node.start(&role("counting", &["stubborn".into()])).await.unwrap();
    eventually("it counts", || async { !counter().is_empty() }).await;
    node.pause().await.unwrap();
    assert!(node.is_paused().await.unwrap());
    let before = counter();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(counter(), before);
    let refused = node.start(&Program::new("other", ["true"])).await.unwrap_err();
    assert!(refused.to_string().contains("n1 is paused"), "{refused}");
    node.resume().await.unwrap();
    assert!(!node.is_paused().await.unwrap());
    eventually("it counts on", || async { counter() != before }).await;
    node.resume().await.unwrap();
    host.down().await;
}

async fn wipe() {
    let host = Host::up(1).await;
    let node = host.node(0);
    shell(node, "mkdir -p a/b; touch a/b/c d").await;
    node.start(&Program::new("p", ["sleep", "1000"])).await.unwrap();
    assert!(node.wipe().await.unwrap_err().to_string().contains("p runs on n1"));
    node.kill().await.unwrap();
    assert!(node.data_dir().join("a/b/c").exists(), "data survives a kill");
    node.wipe().await.unwrap();
    assert_eq!(shell(node, "ls -A").await, "");
    host.down().await;
}

async fn init_killed() {
    let host = Host::up(2).await;
    let node = host.node(0);
    node.start(&Program::new("p", ["sleep", "1000"])).await.unwrap();
    let mut exits = node.exits();
    let ProgramState::Running { pid } = node.state("p") else { panic!("it runs") };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap();
    assert!(std::process::Command::new("kill").args(["-9", parent]).status().unwrap().success());
    assert_eq!(exits.recv().await.unwrap().exit, Exit::Signal(9));
    let error = node.kill().await.unwrap_err();
    assert!(error.to_string().contains("n1 is gone"), "{error}");
    assert_eq!(ask(host.node(1), &["ask-udp", "127.0.0.1:9", "0"]).await, "0", "its neighbour lives");
    host.down().await;
}
