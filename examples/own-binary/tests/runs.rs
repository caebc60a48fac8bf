//! The stranger's binary has every command, its target, its workload, its model and its check.

use std::process::{Command, Output};

use serde_json::Value as Json;

fn own_binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_own-binary"))
}

#[test]
fn it_lists_its_own_beside_the_built_in_ones() {
    for (list, own, built_in) in [("targets", "toy", "etcd"), ("workloads", "raises", "register")] {
        let output = own_binary().args(["list", list, "--format", "json"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("\"{own}\"")) && text.contains(&format!("\"{built_in}\"")), "{text}");
    }
}

/// A run of the toy, unless this machine cannot make nodes.
fn run(target: &str) -> Option<(Output, Json)> {
    let store = tempfile::tempdir().unwrap();
    let output = own_binary()
        .args(["run", "--target", target, "--workload", "raises", "--faults", "{pause: {targets: [one]}}"])
        .args(["--nodes", "3", "--time-limit", "4s", "--seed", "7", "--format", "json", "--store"])
        .arg(store.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("cannot make nodes") && std::env::var("SQUALL_REQUIRE").is_err() {
        eprintln!("ignored: {said}");
        return None;
    }
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    Some((output, json))
}

#[test]
fn a_true_toy_is_valid_by_its_own_model_and_check() {
    let Some((output, json)) = run("toy") else { return };
    assert_eq!(output.status.code(), Some(0), "{json}");
    let checks = &json["runs"][0]["checks"];
    assert_eq!(checks["no-negative"]["valid"], true, "{json}");
    assert_eq!(checks["linearizable"]["valid"], true, "{json}");
    // Code 0 says that enough of them were answered, too: a vacuous run is unknown.
    assert_eq!(checks["vacuity"]["valid"], true, "{json}");
}

#[test]
fn a_forgetful_toy_is_found_out_by_the_model() {
    let Some((output, json)) = run("{toy: {forgetful: true}}") else { return };
    assert_eq!(output.status.code(), Some(1), "{json}");
    let checks = &json["runs"][0]["checks"];
    assert_eq!(checks["linearizable"]["valid"], false, "{json}");
    assert_eq!(checks["no-negative"]["valid"], true, "{json}");
}
