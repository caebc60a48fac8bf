//! The stranger's binary has every command, its target and its check.

use std::process::Command;

fn own_binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_own-binary"))
}

#[test]
fn it_lists_its_own_target_beside_the_built_in_ones() {
    let output = own_binary().args(["list", "targets", "--format", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"toy\"") && text.contains("\"etcd\""), "{text}");
}

#[test]
fn it_runs_its_own_target_and_applies_its_own_check() {
    let store = tempfile::tempdir().unwrap();
    let output = own_binary()
        .args(["run", "--target", "toy", "--faults", "{pause: {targets: [one]}}", "--nodes", "3"])
        .args(["--time-limit", "4s", "--seed", "7", "--format", "json", "--store"])
        .arg(store.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("cannot make nodes") && std::env::var("SQUALL_REQUIRE").is_err() {
        eprintln!("ignored: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = &document["runs"][0]["checks"];
    assert_eq!(checks["no-negative"]["valid"], true, "{document}");
    assert_eq!(checks["linearizable"]["valid"], true, "{document}");
}
