//! Asks a node a question, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::Method;
use squall_cluster::{Exit, Node, Program};
use squall_engine::Error;
use squall_engine::protocol::Via;

use super::definition::ProbeOf;
use crate::http::Http;

/// What was asked for holds, or why it does not.
pub(super) async fn ask(
    probe: &ProbeOf,
    node: usize,
    handle: Option<&Arc<dyn Node>>,
    values: &BTreeMap<String, String>,
    via: Via<'_>,
) -> Result<(), Error> {
    match probe {
        ProbeOf::Port(port) => {
            let to = via.layout.socket(node, *port);
            let connected = via.net.connect(via.slot, to).await;
            connected.map(drop).map_err(|e| Error::io(format!("no connection to {to}"), e))
        }
        ProbeOf::Http { port, path, contains } => {
            let mut http = Http::connect(node, *port, via).await?;
            let path = path.render(values);
            let answer = http.request(Method::GET, &path, "").await.map_err(Error::Target)?;
            let body = String::from_utf8_lossy(&answer.body);
            match answer.status {
                200 if body.contains(contains.as_str()) => Ok(()),
                200 => Err(Error::Target(format!("{path} does not say `{contains}` but: {}", cut(&body)))),
                status => Err(Error::Target(format!("{path} answered {status}: {}", cut(&body)))),
            }
        }
        ProbeOf::Command { command, contains, limit } => {
            let handle =
                handle.ok_or_else(|| Error::Broken("a node was asked before it was there".into()))?;
            let argv = command.argv(values);
            let shown = argv.join(" ");
            let output = handle.run(&Program::new("probe", argv), *limit).await?;
            let said = String::from_utf8_lossy(&output.stdout);
            if output.exit != Exit::Code(0) {
                let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
                return Err(Error::Target(format!("`{shown}` ended with {}: {}", output.exit, cut(&all))));
            }
            match said.contains(contains.as_str()) {
                true => Ok(()),
                false => {
                    Err(Error::Target(format!("`{shown}` does not say `{contains}` but: {}", cut(&said))))
                }
            }
        }
    }
}

/// Somebody's output, on one line.
pub(super) fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}
