//! The worked example: its commands, run with a `kubectl` that keeps what it was given, make the right objects.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::{AttachFile, Values, render};

fn example() -> AttachFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kubernetes-chaos-mesh");
    AttachFile::load(&folder.join("cluster.yaml")).expect("it is read")
}

fn values(dir: &Path) -> Values {
    Values::from([
        ("node", "etcd-1".to_owned()),
        ("address", "127.0.1.2".into()),
        ("index", "1".into()),
        ("nodes", "etcd-1".into()),
        ("others", "etcd-0,etcd-2".into()),
        ("seconds", "15".into()),
        ("id", "7".into()),
        ("dir", dir.display().to_string()),
    ])
}

/// Runs a command; gives the calls of `kubectl` and the objects that were applied.
fn run(command: &str, values: &Values) -> (Vec<String>, Vec<Json>) {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "#!/bin/sh\nhere=$(dirname \"$0\")\necho \"$*\" >> $here/calls\n\
                  case $1 in apply) cat > $here/object-$(ls $here | wc -l);; esac\necho uid-of-before\n";
    let kubectl = dir.path().join("kubectl");
    std::fs::write(&kubectl, script).expect("a script");
    std::fs::set_permissions(&kubectl, PermissionsExt::from_mode(0o755)).expect("own file");
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").expect("a PATH"));
    let done = Command::new("sh").arg("-c").arg(render(command, values)).env("PATH", path).status();
    assert!(done.expect("a shell").success(), "{command}");
    let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap_or_default();
    let objects = std::fs::read_dir(dir.path()).expect("own folder").filter_map(Result::ok);
    let objects = objects.filter(|e| e.file_name().to_string_lossy().starts_with("object"));
    let read = |path| serde_yaml::from_str(&std::fs::read_to_string(path).expect("own file"));
    let objects = objects.map(|e| read(e.path()).expect("YAML"));
    (calls.lines().map(str::to_owned).collect(), objects.collect())
}

#[test]
fn every_fault_makes_its_object_and_takes_it_away() {
    let file = example();
    let folder = tempfile::tempdir().expect("a folder");
    let mut kinds = Vec::new();
    for (name, fault) in &file.faults {
        let mut values = values(folder.path());
        values.insert("fault", name.clone());
        let (calls, objects) = run(&fault.begin, &values);
        let [object] = &objects[..] else { panic!("{name}: {objects:?}") };
        assert_eq!(object["apiVersion"], "chaos-mesh.org/v1alpha1");
        assert_eq!(object["metadata"]["namespace"], "db");
        assert_eq!(object["metadata"]["labels"]["squall"], "fault", "or `heal` would not find it");
        assert_eq!(object["spec"]["mode"], "all");
        assert_eq!(object["spec"]["selector"], json!({ "pods": { "db": ["etcd-1"] } }), "{name}");
        let kind = object["kind"].as_str().expect("a kind");
        let action = object["spec"]["action"].as_str();
        kinds.push(format!("{name}: {kind} {}", action.unwrap_or_default()));
        assert!(calls.iter().all(|call| !call.contains('{') || call.contains("{.")), "{calls:?}");
        let place =
            format!("{}/{}", kind.to_lowercase(), object["metadata"]["name"].as_str().expect("a name"));
        let (ends, _) = run(fault.end.as_deref().expect("an end"), &values);
        assert_eq!(ends[0], format!("-n db delete {place} --wait"), "{name}");
        if name != "kill" {
            let (proofs, _) = run(fault.prove.as_deref().expect("a proof"), &values);
            let last = proofs.last().expect("a call");
            assert_eq!(*last, format!("-n db wait {place} --for=condition=AllInjected --timeout=0s"));
        }
        let others = &object["spec"]["target"]["selector"]["pods"]["db"];
        assert_eq!(*others, if name == "partition" { json!(["etcd-0", "etcd-2"]) } else { Json::Null });
    }
    assert_eq!(
        kinds,
        [
            "clock: TimeChaos ",
            "delay: NetworkChaos delay",
            "kill: PodChaos pod-kill",
            "own-pod-failure: PodChaos pod-failure",
            "partition: NetworkChaos partition",
        ]
    );
}

#[test]
fn a_kill_is_proven_by_another_pod_only() {
    let file = example();
    let folder = tempfile::tempdir().expect("a folder");
    let values = values(folder.path());
    let prove = |was: &str| {
        std::fs::write(folder.path().join("etcd-1.uid"), was).expect("a file");
        let script = format!(
            "kubectl() {{ printf uid-2; }}\n{}",
            render(file.faults["kill"].prove.as_deref().expect("a proof"), &values)
        );
        Command::new("sh").arg("-c").arg(script).output().expect("a shell").status.success()
    };
    assert!(prove("uid-1"));
    assert!(!prove("uid-2"));
}
