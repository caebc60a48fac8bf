//! The frame of tests that need real clusters: a `main` for test binaries with `harness = false`.
//!
//! What a test needs and the machine lacks makes it ignored, with the reason; with `SQUALL_REQUIRE=all` in
//! the environment it makes it fail, so that a CI that believes to have everything notices.
//!
//! ```no_run
//! use squall_local::testing::{Need, Test, main};
//! fn main_of_the_test_binary() -> std::process::ExitCode {
//!     main(vec![Test::new("a cluster comes up", || { /* … */ }).needs(Need::Nodes)])
//! }
//! ```

use std::future::Future;
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use squall_cluster::{Capability, Probe, Provider};

use crate::LocalProvider;

/// Something a test cannot do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Local clusters, however wired.
    Nodes,
    /// TUN devices.
    Tun,
    /// Another capability of the local provider.
    Can(Capability),
    /// A program on the PATH, and the Debian package that has it.
    Program(&'static str, &'static str),
    /// A program that no package brings, under the path that this environment variable names. Such a test is ignored
    /// without it whatever is required: nobody can be asked to have it.
    Named(&'static str),
    /// To run as root.
    Root,
}

/// A test of a binary with its own `main`.
pub struct Test {
    name: String,
    needs: Vec<Need>,
    run: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Test").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

impl Test {
    /// A test that fails by panicking.
    pub fn new(name: &str, run: impl FnOnce() + Send + 'static) -> Self {
        Test { name: name.to_owned(), needs: Vec::new(), run: Box::new(run) }
    }

    /// The same for a future, in a runtime of its own.
    pub fn asynchronous<F: Future<Output = ()> + 'static>(
        name: &str,
        run: impl FnOnce() -> F + Send + 'static,
    ) -> Self {
        Test::new(name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime needs no more than threads").block_on(run());
        })
    }

    /// Says what the test needs.
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }
}

/// Runs the tests as `cargo test` asks. Gives the keeper its chance first.
pub fn main(tests: Vec<Test>) -> ExitCode {
    crate::keeper::run_if_asked();
    let mut arguments = Arguments::from_args();
    // Clusters and measurements of time get in each other's way on small machines.
    arguments.test_threads.get_or_insert(2);
    let require = std::env::var("SQUALL_REQUIRE").is_ok_and(|value| value == "all");
    let trials = tests.into_iter().map(|test| trial(test, require)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: Test, require: bool) -> Trial {
    let lacking = move |test: &Test| test.needs.iter().find_map(|need| Some((need.clone(), missing(need)?)));
    Trial::ignorable_test(test.name.clone(), move || match lacking(&test) {
        Some((need, reason)) if require && !matches!(need, Need::Named(_)) => {
            Err(Failed::from(format!("SQUALL_REQUIRE=all, but {reason}")))
        }
        Some((_, reason)) => Ok(Completion::ignored_with(reason)),
        None => {
            (test.run)();
            Ok(Completion::Completed)
        }
    })
}

/// Why a need is not met here, if it is not.
pub fn missing(need: &Need) -> Option<String> {
    match need {
        Need::Nodes => lacks(Capability::Nodes),
        Need::Can(capability) => lacks(*capability),
        Need::Tun => {
            let tun = std::fs::OpenOptions::new().read(true).write(true).open(crate::wire::TUN_DEVICE);
            tun.err().map(|error| format!("{} cannot be opened: {error}", crate::wire::TUN_DEVICE))
        }
        Need::Program(program, package) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
            (!found).then(|| format!("{program} is not on the PATH (apt-get install {package})"))
        }
        Need::Named(variable) => match std::env::var_os(variable) {
            Some(path) if std::path::Path::new(&path).is_file() => None,
            Some(path) => Some(format!("{variable} names {path:?}, which is no file")),
            None => Some(format!("{variable} does not say where the program is")),
        },
        Need::Root => (!nix::unistd::geteuid().is_root()).then(|| "this needs root".to_owned()),
    }
}

fn lacks(capability: Capability) -> Option<String> {
    static PROBES: OnceLock<Vec<Probe>> = OnceLock::new();
    let probes = PROBES.get_or_init(|| {
        // A thread of its own: the caller may be inside a runtime.
        let probed = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(LocalProvider::new().probe())).unwrap_or_default()
        });
        probed.join().unwrap_or_default()
    });
    match probes.iter().find(|probe| probe.capability == capability) {
        Some(probe) if probe.available => None,
        Some(probe) => Some(format!("{capability} not available: {}", probe.finding)),
        None => Some(format!("{capability} was not probed")),
    }
}
