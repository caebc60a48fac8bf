//! What stands ready to be copied (workflow, script, manifest) and what the documentation tells people to type:
//! everything reads, and every command and flag in it is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Whether the command line understands this. Nothing is run.
fn understood(args: &[String]) -> Result<(), String> {
    use clap::Parser as _;
    let all = std::iter::once("squall".to_owned()).chain(args.iter().cloned());
    if args.first().is_some_and(|a| a == "raftkv") {
        return Ok(());
    }
    match squall::args::Cli::try_parse_from(all) {
        Ok(_) => Ok(()),
        Err(e) if !e.use_stderr() => Ok(()),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn the_manifest_is_an_indexed_job_whose_command_is_understood() {
    let text = read("examples/kubernetes/nightly.yaml");
    let documents: Vec<Json> = text.split("\n---\n").map(|d| serde_yaml::from_str(d).unwrap()).collect();
    let job = documents.iter().find(|d| d["kind"] == "Job").unwrap();
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    let pod = &job["spec"]["template"]["spec"];
    for container in [&pod["initContainers"][0], &pod["containers"][0]] {
        let command: Vec<String> = serde_json::from_value(container["command"].clone()).unwrap();
        assert_eq!(command[0], "squall");
        let args: Vec<String> = command[1..].iter().map(|a| a.replace("job/", "1/")).collect();
        understood(&args).unwrap();
    }
    let parts = format!("job/{}", job["spec"]["completions"]);
    assert!(
        pod["containers"][0]["command"].as_array().unwrap().contains(&parts.into()),
        "as many parts as pods"
    );
    let mounted = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let volumes: Vec<&Json> = pod["volumes"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert!(mounted.iter().all(|m| volumes.contains(&&m["name"])), "every volume is there");
}

#[test]
fn the_workflow_runs_the_script_once_for_each_part() {
    let workflow: Json = serde_yaml::from_str(&read(".github/workflows/nightly.yml")).unwrap();
    let job = &workflow["jobs"]["nightly"];
    let parts = job["strategy"]["matrix"]["shard"].as_array().unwrap();
    let expected: Vec<Json> = (1..=parts.len()).map(Json::from).collect();
    assert_eq!(*parts, expected);
    let steps = job["steps"].as_array().unwrap();
    let runs: Vec<&str> = steps.iter().filter_map(|s| s["run"].as_str()).collect();
    let script = format!("bash .ci/nightly ${{{{ matrix.shard }}}}/{}", parts.len());
    assert!(runs.contains(&script.as_str()), "{runs:?}");
    assert!(steps.iter().all(|s| s["uses"].is_string() != s["run"].is_string()), "each step does one thing");
    assert!(steps.iter().any(|s| s["uses"] == "actions/upload-artifact@v4" && s["if"] == "failure()"));
}

#[test]
fn scripts_are_scripts() {
    for (name, reader) in
        [("run", "bash"), ("nightly", "bash"), ("release", "bash"), ("page-figures", "python3")]
    {
        let path = root().join(".ci").join(name);
        let first = read(&format!(".ci/{name}"));
        assert!(first.starts_with(&format!("#!/usr/bin/env {reader}\n")), "{name}");
        if reader == "bash" {
            let checked = Command::new("bash").arg("-n").arg(&path).output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    let workflow: Json = serde_yaml::from_str(&read(".github/workflows/release.yml")).unwrap();
    let steps = workflow["jobs"]["release"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|s| s["run"] == "bash .ci/release dist"));
}

#[test]
fn the_script_is_a_script_and_its_commands_are_understood() {
    let path = root().join(".ci/nightly");
    let checked = Command::new("bash").arg("-n").arg(&path).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut seen = 0;
    for line in read(".ci/nightly").lines() {
        let Some((_, command)) = line.split_once("\"$squall\" ").filter(|(_, c)| !c.starts_with(']')) else {
            continue;
        };
        let ends = |w: &&str| !matches!(*w, "||" | "&&" | ">&2") && !w.starts_with('>');
        let args: Vec<String> = command
            .split_whitespace()
            .take_while(ends)
            .map(|w| w.trim_matches('"').replace("$shard", "1/2"))
            .collect();
        // `shrink` is asked for before it is used.
        if !args.iter().any(|a| a == "shrink") {
            understood(&args).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} commands");
}

/// Every command that a page tells people to type.
fn told(path: &Path, found: &mut Vec<(PathBuf, String)>) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut within, mut console) = (false, false);
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(kind) => {
                within = !within;
                console = within && matches!(kind, "console" | "sh" | "");
            }
            None if console => {
                let line = line.trim_start_matches("$ ");
                // A table of commands explains each after a gap.
                let command = line.split("   ").next().unwrap_or(line).trim();
                if let Some(at) =
                    command.find("squall ").filter(|at| *at == 0 || command[..*at].ends_with("| "))
                {
                    found.push((path.to_owned(), command[at..].to_owned()));
                }
            }
            None => {}
        }
    }
}

#[test]
fn every_command_of_the_documentation_is_understood() {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|e| e.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("md") => told(&path, &mut found),
                _ => {}
            }
        }
    }
    told(&root().join("README.md"), &mut found);
    for (path, command) in &found {
        let command = command.split(" | ").next().unwrap();
        let split = Command::new("bash")
            .args(["-c", &format!("printf '%s\\0' {}", command.trim_start_matches("squall "))])
            .output()
            .unwrap();
        let args: Vec<String> =
            String::from_utf8(split.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect();
        if let Err(e) = understood(&args) {
            panic!("{}: {command}: {e}", path.display());
        }
    }
    assert!(found.len() >= 12, "only {} commands were found", found.len());
}
