//! What a described target is asked to do while it serves: changes of members, and whatever its operators do. Its own
//! commands, run on the node that is asked.

use std::time::Duration;

use async_trait::async_trait;
use squall_cluster::{Exit, Program};
use squall_engine::Error;
use squall_engine::protocol::{Layout, Maintenance, Members, Via};

use super::definition::{CommandOf, Membership};
use super::probe;
use super::target::Declared;

/// How long a command may take; whoever asks gives up at about the same time.
const LIMIT: Duration = Duration::from_secs(3);
/// The same for what operators do, which may be much.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(20);

impl Declared {
    fn membership(&self) -> Result<&Membership, Error> {
        let none =
            || Error::Config(format!("`{}` does not say how its members change", self.definition.name));
        self.definition.members.as_ref().ok_or_else(none)
    }

    /// What a command on node `ask` says, where node `member` is the one that comes or goes.
    async fn change(
        &self,
        command: &CommandOf,
        ask: usize,
        member: usize,
        via: Via<'_>,
    ) -> Result<String, Error> {
        let mut values = self.values(ask, via.layout);
        let of = &via.layout.nodes[member];
        values.insert("member.name".into(), of.name.clone());
        values.insert("member.address".into(), of.address.to_string());
        values.insert("member.id".into(), (member + 1).to_string());
        self.say(ask, Program::new("members", command.argv(&values)), LIMIT).await
    }

    /// What a command on a node says; an error if it does not end with code 0.
    async fn say(&self, node: usize, program: Program, limit: Duration) -> Result<String, Error> {
        let before = || Error::Broken("a command was asked for before there were nodes".into());
        let handle = self.nodes.get().and_then(|nodes| nodes.get(node)).ok_or_else(before)?;
        let shown = program.argv.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let output = handle.run(&program, limit).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.exit == Exit::Code(0) {
            return Ok(said);
        }
        let all = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let (on, exit) = (handle.name(), output.exit);
        Err(Error::Target(format!("`{shown}` on {on} ended with {exit}: {}", probe::cut(&all))))
    }
}

#[async_trait]
impl Members for Declared {
    async fn members(&self, ask: usize, via: Via<'_>) -> Result<Vec<String>, Error> {
        let said = self.change(&self.membership()?.list, ask, ask, via).await?;
        let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || c == ',').collect();
        let names = via.layout.nodes.iter().map(|n| n.name.clone());
        Ok(names.filter(|name| words.contains(&name.as_str())).collect())
    }

    async fn remove(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        self.change(&self.membership()?.remove, ask, node, via).await.map(drop)
    }

    async fn add(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        self.change(&self.membership()?.add, ask, node, via).await.map(drop)
    }

    fn joining(&self, node: usize, members: &[usize], layout: &Layout) -> Vec<Program> {
        let own = self.definition.members.as_ref().map(|m| &m.joining).filter(|p| !p.is_empty());
        self.rendered_programs(own.unwrap_or(&self.definition.programs), members, node, layout)
    }

    fn keeps_data(&self) -> bool {
        self.definition.members.as_ref().is_some_and(|m| m.keeps_data)
    }
}

#[async_trait]
impl Maintenance for Declared {
    fn kinds(&self) -> Vec<String> {
        self.definition.maintenance.keys().cloned().collect()
    }

    async fn maintain(&self, kind: &str, node: usize, via: Via<'_>) -> Result<String, Error> {
        let none = || Error::Config(format!("`{}` does not say how to `{kind}`", self.definition.name));
        let command = self.definition.maintenance.get(kind).ok_or_else(none)?;
        let argv = command.argv(&self.values(node, via.layout));
        let said = self.say(node, Program::new("maintenance", argv), MAINTENANCE_LIMIT).await?;
        Ok(said.lines().next().unwrap_or("it was done").trim().to_owned())
    }
}
