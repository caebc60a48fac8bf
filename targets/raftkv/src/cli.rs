//! The command line: `serve` runs a server, `ctl` asks one, `sim` simulates clusters, `bugs` lists the museum. Returns
//! exit codes, never exits by itself.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::bugs::{BUGS, Bug};
use crate::ctl;
use crate::server::{Config, OPTIONS, serve};
use crate::sim::{StormConfig, storm};

const BAD_ARGUMENTS: i32 = 254;

/// Runs one command, without the program's name. Exit codes: 0 done, 1 the server could not start or go on,
/// 254 bad arguments.
pub fn run(args: impl IntoIterator<Item = OsString>) -> i32 {
    let mut words = Vec::new();
    for arg in args {
        match arg.into_string() {
            Ok(word) => words.push(word),
            Err(arg) => return complain(&format!("argument {arg:?} is not UTF-8")),
        }
    }
    if words.first().is_some_and(|w| w == "ctl") {
        let words = words.split_off(1);
        if words.first().is_some_and(|w| w == "--help" || w == "-h") {
            println!("{}", ctl::USAGE);
            return 0;
        }
        return ctl::run(words);
    }
    if words.iter().any(|w| w == "--help" || w == "-h") {
        println!("{}", usage());
        return 0;
    }
    let mut words = words.into_iter();
    match words.next().as_deref() {
        Some("serve") => run_server(words),
        Some("bugs") => {
            for (_, name, text) in BUGS {
                println!("{name:32}{text}");
            }
            0
        }
        Some("sim") => match SimOptions::parse(words) {
            Ok(options) => simulate(&options),
            Err(why) => complain(&why),
        },
        Some(other) => complain(&format!("unknown command {other:?}; there are: serve, ctl, sim, bugs")),
        None => complain("no command given; there are: serve, ctl, sim, bugs"),
    }
}

const SIM_OPTIONS: &str = "\
  --seeds N        how many storms (default: 1000)
  --first-seed N   the first of them (default: 0)
  --nodes N        nodes in each cluster (default: 5)
  --seconds N      virtual seconds with faults (default: 10)
  --bug NAME       carry a classic mistake; stops at the first seed that finds it";

/// What `sim` runs.
#[derive(Debug)]
struct SimOptions {
    seeds: u64,
    first_seed: u64,
    storm: StormConfig,
}

impl SimOptions {
    fn parse(args: impl Iterator<Item = String>) -> Result<SimOptions, String> {
        let mut options = SimOptions { seeds: 1000, first_seed: 0, storm: StormConfig::default() };
        let mut args = args;
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|e| format!("{name}: {value:?}: {e}"));
            match name.as_str() {
                "--seeds" => options.seeds = number()?,
                "--first-seed" => options.first_seed = number()?,
                "--nodes" => options.storm.nodes = number()?.clamp(1, 9) as usize,
                "--seconds" => options.storm.duration = number()? * 1_000_000,
                "--bug" => options.storm.bug = Some(value.parse::<Bug>().map_err(|e| e.to_string())?),
                _ => return Err(format!("unknown argument {name:?}; `sim --help` lists them")),
            }
        }
        Ok(options)
    }
}

/// What several storms came to.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    reads: usize,
    elections: usize,
    crashes: usize,
    /// The first seed that broke a promise, and how.
    broken: Option<(u64, String)>,
}

/// Exit codes: 0 no promise was broken, 1 one was. Seeds are shared out over threads; which seed is the first that breaks
/// a promise does not depend on their number.
fn simulate(options: &SimOptions) -> i32 {
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (next, first_broken) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = options.first_seed + next.fetch_add(1, Ordering::Relaxed);
            let end = (options.first_seed + options.seeds).min(first_broken.load(Ordering::Relaxed));
            if seed >= end {
                return tally;
            }
            let report = storm(seed, &options.storm);
            if let Some(breach) = report.breaches.into_iter().next() {
                first_broken.fetch_min(seed, Ordering::Relaxed);
                tally.broken = Some((seed, breach));
                return tally;
            }
            tally.acknowledged += report.acknowledged;
            tally.reads += report.reads;
            tally.elections += report.elections;
            tally.crashes += report.crashes;
        }
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.min(options.seeds)).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a storm does not panic")).collect()
    });
    if let Some((seed, breach)) = tallies.iter().filter_map(|t| t.broken.as_ref()).min() {
        println!("seed {seed}: {breach}");
        return 1;
    }
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (seeds, seconds) = (options.seeds, begun.elapsed().as_secs_f64());
    println!(
        "{seeds} seeds in {seconds:.1} s ({:.0} a minute): {} writes, {} reads, {} elections, {} crashes, no promise broken",
        seeds as f64 * 60.0 / seconds.max(1e-9),
        sum(|t| t.acknowledged),
        sum(|t| t.reads),
        sum(|t| t.elections),
        sum(|t| t.crashes),
    );
    0
}

fn usage() -> String {
    format!(
        "squall raftkv serve OPTIONS    run one node\nsquall raftkv ctl OPTIONS      ask a cluster (`ctl --help`)\nsquall raftkv sim OPTIONS      run simulated clusters through storms\nsquall raftkv museum OPTIONS   run the campaign made for each classic mistake\nsquall raftkv bugs             list the names that --bug takes\n\nserve:\n{OPTIONS}\n\nsim:\n{SIM_OPTIONS}"
    )
}

fn complain(why: &str) -> i32 {
    eprintln!("squall raftkv: {why}");
    BAD_ARGUMENTS
}

fn run_server(args: impl Iterator<Item = String>) -> i32 {
    let config = match Config::parse(args) {
        Ok(config) => config,
        Err(e) => return complain(&e.to_string()),
    };
    abort_on_panic();
    // One thread for network and core, which then need not wake each other; the disk has its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("squall raftkv: cannot start: {e}");
            return 1;
        }
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("squall raftkv: {e}");
            1
        }
    }
}

/// A thread that died would leave a server that looks alive: rather none at all.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}
