use super::load;

const GOOD: &str = r#"name: mydb
ports: {client: 70}
options: {sync: "yes"}
lists: {peers: {each: "{address}:{port.client}"}}
promises: {default: linearizable, sync=no: sequential}
supports: [read, write]
programs:
  - {name: db, command: [mydb, --peers, "{peers}", --sync, "{option.sync}"]}
ready: {port: client}
client: {command: [python3, "{dir}/client.py"]}
"#;

const COMMAND: &str = r#"[mydb, --peers, "{peers}", --sync, "{option.sync}"]"#;

fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("target.yaml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_string_lossy().into_owned();
    match load(&path) {
        Ok(_) => "accepted".to_owned(),
        Err(e) => e.0.replace(&path, "target.yaml"),
    }
}

#[test]
fn a_description_is_read() {
    assert_eq!(refusal(GOOD), "accepted");
}

/// What is changed in a good description, where the complaint points, and what it says.
#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("{peers}", "{piers}", "target.yaml:8:", "no placeholder is named `{piers}`"),
        ("port: client}", "port: cleint}", "target.yaml:9:", "no port is named `cleint`"),
        ("default: linearizable", "default: linearisable", "target.yaml:5:", "no consistency model"),
        ("sync=no", "snyc=no", "target.yaml:5:", "neither `default` nor `option=value`"),
        ("ready:", "raedy:", "target.yaml:9:", "unknown key `raedy`; did you mean `ready`?"),
        ("name: mydb\n", "", "target.yaml:1:", "`name` is missing"),
        ("supports: [read, write]\n", "", "target.yaml:1:", "`supports` is missing"),
        ("{dir}/client.py", "{address}", "target.yaml:10:", "no placeholder is named `{address}`"),
        ("client: 70", "client: 70000", "target.yaml:2:", "from 1 to 65535"),
        ("name: db, command", "name: a/b, command", "target.yaml:8:", "without `/`"),
        (COMMAND, "7", "target.yaml:8:", "expected a command"),
    ];
    for (good, bad, place, why) in cases {
        assert!(GOOD.contains(good), "{good}");
        let said = refusal(&GOOD.replacen(good, bad, 1));
        assert!(said.starts_with(place) && said.contains(why), "{bad}: {said}");
        assert!(said.contains('^'), "a caret: {said}");
    }
    assert!(load("/no/such/target.yaml").unwrap_err().0.contains("cannot read the target"));
}
