//! A registry with small fakes: what campaigns need to know of targets and workloads, and no more.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use squall_checkers::{Budget, Check, Verdict};
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::generator::Generator;
use squall_engine::protocol::{
    Client, Layout, Setting, Target, TargetKind, Via, Workload, WorkloadKind, options,
};
use squall_history::History;

use crate::Registry;

/// Targets `raftkv` and `etcd`, workloads `register` and `append`, and the built-in faults.
pub fn registry() -> Registry {
    squall_nemesis::faults()
        .into_iter()
        .fold(Registry::empty(), Registry::fault)
        .target(target("raftkv", &["read", "write", "cas"], None))
        .target(target("etcd", &["read", "write"], Some("clock")))
        .workload(workload("register", &["read", "write"]))
        .workload(workload("append", &["txn"]))
}

#[derive(Debug)]
struct FakeTarget {
    name: &'static str,
    can: &'static [&'static str],
    refuses: Option<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code, reason = "read, never used")]
struct TargetOptions {
    version: Option<String>,
    snapshot_count: u64,
}

fn target(name: &'static str, can: &'static [&'static str], refuses: Option<&'static str>) -> TargetKind {
    TargetKind {
        name,
        summary: "a fake",
        needs: "",
        build: Box::new(move |given| {
            options::<TargetOptions>(name, given)?;
            Ok(Arc::new(FakeTarget { name, can, refuses }))
        }),
    }
}

#[async_trait]
impl Target for FakeTarget {
    fn name(&self) -> &str {
        self.name
    }
    async fn prepare(&self) -> Result<String, Error> {
        Ok("1".into())
    }
    fn programs(&self, _node: usize, _layout: &Layout) -> Vec<Program> {
        Vec::new()
    }
    async fn ready(&self, _node: usize, _via: Via<'_>) -> Result<(), Error> {
        Ok(())
    }
    async fn connect(&self, _node: usize, _via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        Err(Error::Broken("a fake has no clients".into()))
    }
    fn supports(&self, f: &str) -> bool {
        self.can.contains(&f)
    }
    fn promises(&self) -> &str {
        "linearizable"
    }
    fn refuses(&self, fault: &str) -> Option<String> {
        (self.refuses == Some(fault)).then(|| "its leases follow the wall clock".to_owned())
    }
}

#[derive(Debug)]
struct FakeWorkload {
    name: &'static str,
    functions: &'static [&'static str],
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code, reason = "read, never used")]
struct WorkloadOptions {
    keys: u32,
}

fn workload(name: &'static str, functions: &'static [&'static str]) -> WorkloadKind {
    WorkloadKind {
        name,
        summary: "a fake",
        needs: "",
        build: Box::new(move |given| {
            options::<WorkloadOptions>(name, given)?;
            Ok(Arc::new(FakeWorkload { name, functions }))
        }),
    }
}

struct Yes;

impl Check for Yes {
    fn name(&self) -> &str {
        "yes"
    }
    fn check(&self, _: &History, _: &Budget) -> Verdict {
        Verdict::valid("yes")
    }
}

impl Workload for FakeWorkload {
    fn name(&self) -> &str {
        self.name
    }
    fn functions(&self) -> Vec<&'static str> {
        self.functions.to_vec()
    }
    fn generator(&self, _: &Setting) -> Box<dyn Generator> {
        unreachable!("plans are never driven here")
    }
    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" | "serializable" => Ok(vec![Box::new(Yes)]),
            other => Err(Error::Config(format!("`{}` cannot be judged by `{other}`", self.name))),
        }
    }
    fn floors(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
