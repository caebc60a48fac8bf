use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use squall_engine::protocol::{Layout, NodeLayout, Target};

use super::*;

fn known() -> BTreeSet<String> {
    ["address", "port.client", "peers", "option.sync", "name", "id"].map(str::to_owned).into()
}

fn template(text: &str) -> Template {
    Template::parse(text, &known()).unwrap()
}

#[test]
fn only_words_in_braces_are_placeholders() {
    let values = BTreeMap::from([("address".to_owned(), "10.0.0.1".to_owned())]);
    let cases = [
        ("--host {address}:1", "--host 10.0.0.1:1"),
        ("{address}{address}", "10.0.0.110.0.0.1"),
        (r#"{"a": {"b": 1}} {}"#, r#"{"a": {"b": 1}} {}"#),
        ("awk '{print $1}' ${address} {{address}}", "awk '{print $1}' ${address} {address}"),
        ("ends in {", "ends in {"),
        ("", ""),
    ];
    for (text, rendered) in cases {
        assert_eq!(template(text).render(&values), rendered, "{text}");
    }
    let error = Template::parse("x {adress} y", &known()).unwrap_err();
    assert!(
        error.contains("`{adress}`") && error.contains("{address}") && error.contains("`{{adress}}`"),
        "{error}"
    );
}

fn layout() -> Layout {
    let node = |n: usize| NodeLayout {
        name: format!("n{}", n + 1),
        address: format!("10.0.0.{}", n + 1).parse().unwrap(),
        data_dir: format!("/data{}", n + 1).into(),
    };
    Layout { nodes: (0..3).map(node).collect() }
}

fn definition() -> Definition {
    let each = template("{name}={address}:{port.client}");
    Definition {
        name: "mydb".into(),
        ports: [("client".to_owned(), 70)].into(),
        options: [("sync".to_owned(), json!("yes"))].into(),
        lists: [("peers".to_owned(), ListOf { each, of: Members::Others, join: ",".into() })].into(),
        promises: Promises {
            default: "linearizable".into(),
            where_option: vec![("sync".into(), "no".into(), "sequential".into())],
        },
        programs: vec![ProgramOf {
            name: "db".into(),
            on: On::Rest,
            command: CommandOf::Arguments(vec![template("/bin/db"), template("--peers={peers}")]),
            files: vec![("db.conf".into(), template("sync {option.sync}, id {id}"))],
            ..ProgramOf::default()
        }],
        ..Definition::default()
    }
}

#[test]
fn programs_are_rendered_for_their_node() {
    let target = Declared::new(Arc::new(definition()), &json!({"sync": "no"})).unwrap();
    assert!(target.programs(0, &layout()).is_empty(), "only on the rest");
    let [program] = &target.programs(1, &layout())[..] else { panic!("one program") };
    assert_eq!(program.argv, ["/bin/db", "--peers=n1=10.0.0.1:70,n3=10.0.0.3:70"]);
    assert_eq!(program.files, [("db.conf".into(), b"sync no, id 2".to_vec())]);
    assert_eq!(target.promises(), "sequential");
    assert_eq!(Declared::new(Arc::new(definition()), &json!(null)).unwrap().promises(), "linearizable");
}

#[test]
fn an_unknown_option_is_refused_with_those_that_there_are() {
    let error = Declared::new(Arc::new(definition()), &json!({"snyc": "no"})).unwrap_err().to_string();
    assert!(error.contains("no option `snyc`") && error.contains("sync"), "{error}");
}

#[tokio::test]
async fn what_is_missing_names_its_package() {
    let mut missing = definition();
    missing.requires = vec![template("no-such-program-here")];
    missing.package = Some("mydb-server".into());
    let error = Declared::new(Arc::new(missing), &json!(null)).unwrap().prepare().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no-such-program-here") && text.contains("apt-get install mydb-server"), "{text}");
}
