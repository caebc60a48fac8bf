//! What a host's links are to do, as text for `nft -f -`: one table, put in place of what it was in one step.
//!
//! Packets are dropped where they arrive, so that the counters of the receiver prove what was cut; only what goes
//! to clients is dropped where it leaves, for nothing is done to the harness's machine. The first rules let SSH
//! pass, whatever follows. Pure: text in, text out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use serde::Deserialize;

use super::sides::{OWN_PORTS, Policies, Side, View};
use super::wire::Command;

/// What runs the text.
pub(super) fn load(text: String) -> Command {
    Command::new(["nft", "-f", "-"]).reading(text)
}

/// What takes everything away. Fails if nothing is there.
pub(super) fn remove() -> Command {
    Command::new(["nft", "delete", "table", "inet", "squall"])
}

/// Succeeds only if the table is there.
pub(super) fn look() -> Command {
    Command::new(["nft", "list", "table", "inet", "squall"])
}

/// Tells the counters.
pub(super) fn count() -> Command {
    Command::new(["nft", "-j", "list", "counters", "table", "inet", "squall"])
}

/// A rule's kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    Cut,
    Reset,
}

/// The table of a host.
pub(super) fn table(view: &View, policies: &Policies) -> String {
    let mut head = String::from("add table inet squall\n");
    for chain in ["input", "output"] {
        let _ = writeln!(
            head,
            "add chain inet squall {chain} {{ type filter hook {chain} priority -10; policy accept; }}"
        );
    }
    let mut rules = String::from("flush chain inet squall input\nflush chain inet squall output\n");
    let port = view.ssh_port;
    let _ = writeln!(rules, "add rule inet squall input tcp dport {port} accept");
    let _ = writeln!(rules, "add rule inet squall output tcp sport {port} accept");
    for ((from, to), policy) in policies {
        let harm = match (policy.down, policy.reset) {
            (true, _) => Harm::Cut,
            (false, true) => Harm::Reset,
            (false, false) => continue,
        };
        let Some(rule) = rule(view, *from, *to, harm) else { continue };
        let _ = writeln!(head, "add counter inet squall {}", name(*from, *to, harm));
        rules.push_str(&rule);
    }
    head + &rules
}

/// A host's rule for a link, if it is the one that has it.
fn rule(view: &View, from: Side, to: Side, harm: Harm) -> Option<String> {
    let me = Side::Node(view.me);
    let (chain, end, field, port) = match (from, to) {
        (from, to) if to == me => ("input", from, "saddr", "sport"),
        (from, Side::Clients) if from == me => ("output", to, "daddr", "dport"),
        _ => return None,
    };
    let address = view.address(end);
    let family = if address.is_ipv4() { "ip" } else { "ip6" };
    let mut which = format!("{family} {field} {address}");
    let first = OWN_PORTS.start();
    match (end, harm) {
        (Side::Clients, _) => {
            let _ = write!(which, " tcp {port} < {first}");
        }
        (Side::Node(_), Harm::Reset) => which.push_str(" meta l4proto tcp"),
        (Side::Node(_), Harm::Cut) => {}
    }
    let verdict = match harm {
        Harm::Cut => "drop",
        Harm::Reset => "reject with tcp reset",
    };
    let counter = name(from, to, harm);
    Some(format!("add rule inet squall {chain} {which} counter name {counter} {verdict}\n"))
}

/// A counter's name. Counters outlive changes of the rules.
fn name(from: Side, to: Side, harm: Harm) -> String {
    let side = |side| match side {
        Side::Node(node) => format!("n{}", node + 1),
        Side::Clients => "clients".to_owned(),
    };
    let harm = match harm {
        Harm::Cut => "cut",
        Harm::Reset => "reset",
    };
    format!("{harm}_{}_{}", side(from), side(to))
}

/// Packets that each rule has caught, from what [`count`] printed. What is not understood is not counted.
pub(super) fn counted(json: &str) -> BTreeMap<(Side, Side, Harm), u64> {
    #[derive(Deserialize)]
    struct Document {
        nftables: Vec<Object>,
    }
    #[derive(Deserialize)]
    struct Object {
        counter: Option<Counter>,
    }
    #[derive(Deserialize)]
    struct Counter {
        name: String,
        packets: u64,
    }
    let document: Document = match serde_json::from_str(json) {
        Ok(document) => document,
        Err(_) => return BTreeMap::new(),
    };
    let counters = document.nftables.into_iter().filter_map(|object| object.counter);
    counters.filter_map(|c| Some((parse(&c.name)?, c.packets))).collect()
}

fn parse(name: &str) -> Option<(Side, Side, Harm)> {
    let mut parts = name.split('_');
    let harm = match parts.next()? {
        "cut" => Harm::Cut,
        "reset" => Harm::Reset,
        _ => return None,
    };
    let mut side = || match parts.next()? {
        "clients" => Some(Side::Clients),
        node => node.strip_prefix('n')?.parse::<usize>().ok()?.checked_sub(1).map(Side::Node),
    };
    Some((side()?, side()?, harm))
}

/// Whether a host's address and the harness's are of one kind, which rules need.
pub(super) fn is_same_kind(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkPolicy;

    fn view() -> View {
        let nodes = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap());
        View { me: 0, nodes: nodes.into(), harness: "10.0.9.1".parse().unwrap(), ssh_port: 2222 }
    }

    #[test]
    fn a_host_has_the_rules_of_what_arrives_and_never_cuts_ssh() {
        let (n1, n2, n3, clients) = (Side::Node(0), Side::Node(1), Side::Node(2), Side::Clients);
        let policies: Policies = [
            ((n2, n1), LinkPolicy::cut()),
            // Not this host's to enforce.
            ((n1, n2), LinkPolicy::cut()),
            ((n3, n1), LinkPolicy { reset: true, ..LinkPolicy::default() }),
            ((clients, n1), LinkPolicy::cut()),
            ((n1, clients), LinkPolicy::cut()),
            ((clients, n2), LinkPolicy::cut()),
        ]
        .into();
        let expected = "\
add table inet squall
add chain inet squall input { type filter hook input priority -10; policy accept; }
add chain inet squall output { type filter hook output priority -10; policy accept; }
add counter inet squall cut_n1_clients
add counter inet squall cut_n2_n1
add counter inet squall reset_n3_n1
add counter inet squall cut_clients_n1
flush chain inet squall input
flush chain inet squall output
add rule inet squall input tcp dport 2222 accept
add rule inet squall output tcp sport 2222 accept
add rule inet squall output ip daddr 10.0.9.1 tcp dport < 61440 counter name cut_n1_clients drop
add rule inet squall input ip saddr 10.0.0.2 counter name cut_n2_n1 drop
add rule inet squall input ip saddr 10.0.0.3 meta l4proto tcp counter name reset_n3_n1 reject with tcp reset
add rule inet squall input ip saddr 10.0.9.1 tcp sport < 61440 counter name cut_clients_n1 drop
";
        assert_eq!(table(&view(), &policies), expected);
    }

    #[test]
    fn counters_are_read_back() {
        let json = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "inet", "name": "cut_n2_n1", "table": "squall", "packets": 7, "bytes": 420}},
            {"counter": {"name": "reset_clients_n3", "packets": 2}}, {"counter": {"name": "other", "packets": 9}}]}"#;
        let counted = counted(json);
        let expected = [
            ((Side::Node(1), Side::Node(0), Harm::Cut), 7),
            ((Side::Clients, Side::Node(2), Harm::Reset), 2),
        ];
        assert_eq!(counted, expected.into());
        assert!(super::counted("Error: no such table").is_empty());
    }
}
