//! Each fault of the clock, and each way in which a program can come to be.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use squall_cluster::ClockChange;
use squall_local::clock::ClockPage;

use crate::Case;
use crate::host::{Guest, SECOND, command, eventually, guest, numbers, run, supervisors};

pub fn all() -> Vec<Case> {
    let plain = |name, test| Case { name, lacks: || None, test };
    vec![
        plain("unskewed_programs_read_true_time", unskewed),
        plain("a_jump_moves_all_wall_clocks_and_no_other", jump),
        plain("a_jump_of_years_reaches_before_1970", jump_far),
        plain("drift_multiplies_elapsed_time", drift),
        plain("a_frozen_clock_stands_and_goes_on", freeze),
        plain("a_strobe_is_seen_both_ways", strobe),
        plain("what_was_seen_is_reported", seen),
        plain("a_fork_keeps_the_clock", || reader_of(&["guest-fork"])),
        plain("a_spawn_keeps_the_clock", || reader_of(&["guest-spawn"])),
        plain("an_exec_from_another_thread_keeps_the_clock", || reader_of(&["guest-thread-exec"])),
        plain("a_chain_of_execs_keeps_the_clock", || reader_of(&["guest-exec-loop", "20"])),
        plain("wrappers_keep_the_clock", wrappers),
        plain("the_clock_stands_a_storm_of_signals", storm),
        plain("stops_and_continues_while_executing_are_harmless", stops_while_executing),
        plain("every_launch_is_patched", launches),
        plain("a_change_of_rate_is_never_a_step_back", no_step_back),
        plain("exit_codes_and_signals_pass_through", exits),
        plain("the_report_says_how_it_went", reports),
        plain("a_missing_program_is_an_error_of_execve", missing_program),
        plain("without_its_supervisor_nothing_more_executes", supervisor_killed),
        plain("the_supervisor_ends_with_its_tree", supervisor_ends),
        plain("a_program_without_privileges_is_patched", unprivileged),
    ]
}

fn clock() -> ClockPage {
    ClockPage::new().expect("a clock page")
}

fn jumped(by: i64) -> ClockPage {
    let clock = clock();
    clock.set(ClockChange::Jump(by)).expect("a jump");
    clock
}

fn unskewed() {
    let clock = clock();
    let mut guest = Guest::reader(&clock);
    for name in ["realtime", "coarse", "monotonic", "boottime"] {
        let read = guest.read(name);
        assert!(read.is_ahead_by(0, 0), "{name}: {read:?}");
    }
    assert!(guest.read("gettimeofday").is_ahead_by(0, 1000));
    assert!(guest.read("time").is_ahead_by(0, SECOND));
    assert_eq!((clock.patched(), clock.refused()), (1, 0));
}

fn jump() {
    for by in [-20 * SECOND, 3 * SECOND, 86_400 * SECOND + 999_999_999, -1] {
        let clock = clock();
        let mut guest = Guest::reader(&clock);
        assert!(guest.read("realtime").is_ahead_by(0, 0));
        clock.set(ClockChange::Jump(by)).expect("a jump");
        for (name, slack) in [("realtime", 0), ("coarse", 0), ("gettimeofday", 1000), ("time", SECOND)] {
            let read = guest.read(name);
            assert!(read.is_ahead_by(by, slack), "{name} by {by}: {read:?}");
        }
        for name in ["monotonic", "boottime"] {
            assert!(guest.read(name).is_ahead_by(0, 0), "{name} must not move");
        }
        clock.set(ClockChange::Reset).expect("a reset");
        assert!(guest.read("realtime").is_ahead_by(0, 0));
    }
}

fn jump_far() {
    let years = 365 * 86_400 * SECOND;
    for by in [-100 * years + 1, 150 * years] {
        let clock = jumped(by);
        let mut guest = Guest::reader(&clock);
        for (name, slack) in [("realtime", 0), ("gettimeofday", 1000), ("time", SECOND)] {
            let read = guest.read(name);
            assert!(read.is_ahead_by(by, slack), "{name} by {by}: {read:?}");
        }
    }
}

/// Between two readings the guest's clock advanced by `rate` times true time.
fn assert_rate(guest: &mut Guest, clock: &str, rate: f64) {
    let first = guest.read(clock);
    std::thread::sleep(Duration::from_millis(30));
    let second = guest.read(clock);
    let advanced = (second.read - first.read) as f64;
    let least = rate * (second.before - first.after) as f64 - 2.0;
    let most = rate * (second.after - first.before) as f64 + 2.0;
    assert!((least..=most).contains(&advanced), "{clock} at {rate}: {advanced} not in {least}..={most}");
}

/// Sets a rate and waits until it has taken hold in all clocks: the coarse ones lag by up to 10 ms.
fn set_rate(clock: &ClockPage, rate: f64) {
    clock.set(ClockChange::Rate(rate)).expect("a rate");
    std::thread::sleep(Duration::from_millis(15));
}

fn drift() {
    let clock = clock();
    let mut guest = Guest::reader(&clock);
    for rate in [1.1, 0.5, 10.0, 1.000_2, 1.0] {
        set_rate(&clock, rate);
        assert_rate(&mut guest, "realtime", rate);
        assert_rate(&mut guest, "coarse", rate);
        assert_rate(&mut guest, "monotonic", 1.0);
    }
}

fn freeze() {
    let clock = clock();
    let mut guest = Guest::reader(&clock);
    set_rate(&clock, 0.0);
    let stood = guest.read("realtime").read;
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(guest.read("realtime").read, stood);
    assert_eq!(guest.read("coarse").read, stood);
    clock.set(ClockChange::Jump(7)).expect("a jump");
    assert_eq!(guest.read("realtime").read, stood + 7);
    set_rate(&clock, 1.0);
    assert_rate(&mut guest, "realtime", 1.0);
    assert!(guest.read("realtime").read > stood);
}

fn strobe() {
    let clock = clock();
    let mut guest = Guest::reader(&clock);
    clock.start_strobe(5 * SECOND, Duration::from_millis(2)).expect("a strobe");
    for offset in [0, 5 * SECOND, 0, 5 * SECOND] {
        eventually("an offset of the strobe", || guest.read("realtime").is_ahead_by(offset, 0));
    }
    clock.set(ClockChange::Reset).expect("a reset");
    assert!(guest.read("realtime").is_ahead_by(0, 0));
}

fn seen() {
    let clock = clock();
    let mut guest = Guest::reader(&clock);
    guest.read("monotonic");
    let generation = clock.set(ClockChange::Jump(5)).expect("a jump").generation;
    guest.read("monotonic");
    assert!(clock.reading().seen < generation, "nobody has read the wall clock since");
    guest.read("time");
    assert_eq!(clock.reading().seen, generation);
}

/// A guest that becomes a reader in some way has the clock.
fn reader_of(role: &[&str]) {
    let clock = jumped(-3600 * SECOND);
    let guest_path = guest();
    let argv: Vec<&str> = [guest_path.as_str()].into_iter().chain(role.iter().copied()).collect();
    let mut guest = Guest::start(&clock, &argv);
    let read = guest.read("realtime");
    assert!(read.is_ahead_by(-3600 * SECOND, 0), "{role:?}: {read:?}");
    clock.set(ClockChange::Jump(60 * SECOND)).expect("a jump");
    assert!(guest.read("realtime").is_ahead_by(-3540 * SECOND, 0));
    assert_eq!(clock.refused(), 0);
}

fn wrappers() {
    let myself = guest();
    let script = format!("no-such-program 2>/dev/null; (true); {myself} guest-read; exit 0");
    let chains: [&[&str]; 4] = [
        &["/bin/sh", "-c", &script],
        &["/usr/bin/env", "timeout", "60", &myself, "guest-read"],
        &["/usr/bin/env", "sh", "-c", "exec \"$0\" guest-read", &myself],
        &["/usr/bin/env", "nice", "sh", "-c", "timeout 60 sh -c '\"$0\" guest-read' \"$0\"", &myself],
    ];
    for argv in chains {
        let clock = jumped(42 * SECOND);
        let mut guest = Guest::start(&clock, argv);
        let read = guest.read("realtime");
        assert!(read.is_ahead_by(42 * SECOND, 0), "{argv:?}: {read:?}");
        assert!(clock.patched() >= 2 && clock.refused() == 0, "{argv:?}");
        guest.finish();
    }
}

fn storm() {
    let clock = jumped(11 * SECOND);
    let [lowest, highest] = numbers(&run(&clock, &[guest().as_str(), "guest-storm", "2000"]))[..] else {
        panic!("two numbers")
    };
    assert!(lowest <= 11e9 && 11e9 <= highest, "{lowest} {highest}");
}

fn stops_while_executing() {
    let clock = jumped(9 * SECOND);
    let mut guest = Guest::start(&clock, &[guest().as_str(), "guest-exec-loop", "400"]);
    // Ignored by default, so they only disturb; the stops must not be lost, nor outlive their end.
    for round in 0..300 {
        guest.signal(libc::SIGWINCH);
        guest.signal(libc::SIGSTOP);
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        guest.signal(libc::SIGCONT);
    }
    guest.signal(libc::SIGSTOP);
    let pid = guest.child.id();
    eventually("a stopped process", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    });
    guest.signal(libc::SIGCONT);
    assert!(guest.read("realtime").is_ahead_by(9 * SECOND, 0));
    assert_eq!(clock.refused(), 0);
}

fn launches() {
    let clock = jumped(SECOND);
    for _ in 0..20 {
        let output = run(&clock, &[guest().as_str(), "guest-storm", "0"]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!((clock.patched(), clock.refused()), (20, 0));
}

fn no_step_back() {
    let clock = clock();
    let guest = Guest::start(&clock, &[guest().as_str(), "guest-monotone"]);
    for round in 0..150 {
        let rate = [0.1, 3.0, 0.0, 1.0, 0.999, 10.0][round % 6];
        clock.set(ClockChange::Rate(rate)).expect("a rate");
        std::thread::sleep(Duration::from_millis(3));
    }
    let last = clock.reading();
    eventually("the last change seen", || clock.reading().seen == last.generation);
    let said = guest.finish();
    let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    assert!(numbers[0] > 0);
    assert_eq!(numbers[1], 0, "steps back in {} readings", numbers[0]);
}

fn exits() {
    let clock = clock();
    assert_eq!(run(&clock, &["/bin/sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&clock, &["/bin/sh", "-c", "kill -TERM $$"]).status.signal(), Some(libc::SIGTERM));
    let mut guest = Guest::reader(&clock);
    guest.read("realtime");
    guest.signal(libc::SIGTERM);
    assert_eq!(guest.child.wait().expect("a status").signal(), Some(libc::SIGTERM));
}

/// Starts a program and returns what its report said before it was closed.
fn report_of(clock: &ClockPage, argv: &[&str]) -> (String, std::process::Output) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = command(clock, Some(writer.as_raw_fd()), "-", argv);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().expect("starting a guest");
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("text");
    (said, child.wait_with_output().expect("a status"))
}

fn reports() {
    let clock = clock();
    let (said, output) = report_of(&clock, &["/bin/sh", "-c", "exec true"]);
    assert_eq!((said.as_str(), output.status.code()), ("", Some(0)));
    // A program that waits for its input has long been reported when it ends.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut guest = Guest::of(command(&clock, Some(writer.as_raw_fd()), "-", &[&guest(), "guest-read"]));
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("text");
    assert_eq!(said, "");
    assert!(guest.read("realtime").is_ahead_by(0, 0));
}

fn missing_program() {
    let clock = clock();
    let output = run(&clock, &["/no/such/program"]);
    assert_eq!(output.status.code(), Some(127));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("/no/such/program") && text.contains("No such file"), "{text}");
    assert_eq!((clock.patched(), clock.refused()), (0, 0));
    eventually("no supervisor", || supervisors(&clock).is_empty());
}

fn supervisor_killed() {
    let clock = jumped(5 * SECOND);
    let mut guest = Guest::start(&clock, &["/bin/sh", "-c", "read line; /bin/true; echo 0 $? 0; read line"]);
    eventually("a patched program", || clock.patched() == 1);
    let supervisors = supervisors(&clock);
    assert_eq!(supervisors.len(), 1);
    // SAFETY: takes no memory; it was started by this test.
    unsafe { libc::kill(supervisors[0], libc::SIGKILL) };
    eventually("no supervisor", || crate::host::supervisors(&clock).is_empty());
    let status = guest.read("go").read;
    assert_ne!(status, 0, "/bin/true must not have run");
}

fn supervisor_ends() {
    let clock = clock();
    // Two sleepers: the supervisor outlives the first process of the tree, and ends with the last.
    let script = "sleep 60 & echo 0 $! 0; wait";
    let mut guest = Guest::start(&clock, &["/bin/sh", "-c", script]);
    let sleeper = guest.read("go").read as i32;
    eventually("patched programs", || clock.patched() == 2);
    assert_eq!(supervisors(&clock).len(), 1);
    drop(guest);
    assert_eq!(supervisors(&clock).len(), 1);
    // SAFETY: takes no memory; started by this test, and it sleeps for longer than this takes.
    unsafe { libc::kill(sleeper, libc::SIGKILL) };
    eventually("no supervisor", || supervisors(&clock).is_empty());
}

fn unprivileged() {
    // SAFETY: takes no memory.
    let user = if unsafe { libc::geteuid() } == 0 { "65534" } else { "-" };
    let clock = jumped(-77 * SECOND);
    // The test binary may lie where this user may not go; what everybody may execute will do.
    let mut command = command(&clock, None, user, &["/bin/sh", "-c", "echo $(id -u) $(date +%s%N)"]);
    let before = real();
    let output = command.current_dir("/").output().expect("starting a guest");
    let after = real();
    let numbers = numbers(&output);
    if user != "-" {
        assert_eq!(numbers[0], 65534.0);
    }
    let slack = 1e6; // doubles do not hold nanoseconds since 1970 exactly
    let read = numbers[1] + 77e9;
    assert!(before as f64 - slack <= read && read <= after as f64 + slack, "{read} at {before}..{after}");
    assert_eq!(clock.refused(), 0);
}

/// The machine's time in nanoseconds since 1970.
pub fn real() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_nanos() as i64
}
