//! What `/metrics` tells, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::node::Node;
use crate::raft::Role;

impl Node {
    pub(super) fn metrics(&self) -> String {
        let mut out = String::new();
        let (core, store, traffic) = (&self.core, &self.store, &self.traffic);
        let log = core.log();
        let gauges = [
            ("is_leader", "1 on the node that leads", u64::from(core.role() == Role::Leader)),
            ("has_leader", "1 if a leader is known", u64::from(core.leader().is_some())),
            ("last_index", "last index in the log", log.last_index()),
            ("log_entries", "entries of the log in memory", log.last_index() - log.base_index()),
            ("snapshot_index", "last index that a snapshot covers", self.snapshot_index()),
            ("keys", "keys in the store", store.len() as u64),
            ("leases", "leases that live", store.leases().len() as u64),
            ("sessions", "client sessions remembered", store.sessions().len() as u64),
            ("watchers", "watches that wait", self.watchers.len() as u64),
            ("members", "voters", log.membership().voters.len() as u64),
            ("learners", "members without a vote", log.membership().learners.len() as u64),
            (
                "requests_in_flight",
                "client requests not answered yet",
                traffic.in_flight.load(Ordering::Relaxed) as u64,
            ),
        ];
        let counters = [
            ("term", "current term", core.term()),
            ("commit_index", "last index known to be committed", core.commit()),
            ("applied_index", "last index applied", store.applied()),
            ("requests_total", "client requests", traffic.requests.load(Ordering::Relaxed)),
            ("busy_total", "client requests refused as busy", traffic.busy.load(Ordering::Relaxed)),
            ("flushes_total", "flushes of the log", self.flushes.0),
        ];
        for (name, help, value) in gauges {
            family(&mut out, name, "gauge", help);
            line(&mut out, name, "", value as f64);
        }
        for (name, help, value) in counters {
            family(&mut out, name, "counter", help);
            line(&mut out, name, "", value as f64);
        }
        family(&mut out, "flush_seconds_total", "counter", "time that flushes of the log took");
        line(&mut out, "flush_seconds_total", "", self.flushes.1.as_secs_f64());
        family(&mut out, "uptime_seconds", "counter", "time since the start");
        line(&mut out, "uptime_seconds", "", self.origin.elapsed().as_secs_f64());
        if core.role() == Role::Leader {
            family(&mut out, "peer_matched_index", "gauge", "last index known to be durable on a peer");
            for (id, peer) in core.peers() {
                line(&mut out, "peer_matched_index", &format!("{{peer=\"{id}\"}}"), peer.matched as f64);
            }
        }
        out.truncate(out.trim_end().len());
        out
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let text = writeln!(out, "# HELP raftkv_{name} {help}\n# TYPE raftkv_{name} {kind}");
    text.expect("strings take anything");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    writeln!(out, "raftkv_{name}{labels} {value}").expect("strings take anything");
}
