//! What a host's links are to do to what leaves it, as text for `tc -batch -`: a queue a neighbour, below one
//! that tells them apart. SSH and the harness's own questions take the first queue, which does nothing.
//!
//! netem counts what it passed and what it dropped, no more. So delay and loss can be had, with evidence, and the
//! rest is refused; and only what leaves a host can be harmed, so what clients send cannot. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use super::sides::{OWN_PORTS, Policies, Side, View};
use super::wire::Command;
use crate::{Delay, DelayShape, Error, LinkPolicy, Loss};

/// The queue discipline of squall's own on an interface.
const HANDLE: &str = "5a1";
/// Queues that `prio` can have.
const BANDS: usize = 16;
/// Neighbours that can be harmed: the first queue is left alone, and each number has one hexadecimal digit.
const MOST: usize = 14;

/// What runs the text.
pub(super) fn load(text: String) -> Command {
    Command::new(["tc", "-batch", "-"]).reading(text)
}

/// What takes everything off an interface. Fails if nothing is there.
pub(super) fn remove(interface: &str) -> Command {
    Command::new(["tc", "qdisc", "del", "dev", interface, "root", "handle", &format!("{HANDLE}:")])
}

/// Tells what the queues did.
pub(super) fn count(interface: &str) -> Command {
    Command::new(["tc", "-s", "-j", "qdisc", "show", "dev", interface])
}

/// Whether a policy asks for anything of netem.
pub(super) fn is_wanted(policy: &LinkPolicy) -> bool {
    let plain = LinkPolicy { down: false, reset: false, ..*policy };
    !plain.is_clear()
}

/// Refuses what cannot be had, or not with evidence.
pub(super) fn check(policies: &Policies) -> Result<(), Error> {
    for ((from, _), policy) in policies.iter().filter(|(_, p)| is_wanted(p) || p.half_open) {
        let lacks = |what: &str| {
            let text =
                format!("the provider `ssh` cannot {what} on hosts: netem has nothing that would prove it");
            Err(Error::Unavailable(text))
        };
        if policy.half_open {
            return lacks("leave connections half open");
        }
        if policy.duplicate > 0.0 || policy.reorder > 0.0 || policy.corrupt > 0.0 {
            return lacks("duplicate, reorder or corrupt packets");
        }
        if policy.rate_bytes.is_some() {
            return lacks("limit bandwidth");
        }
        if *from == Side::Clients {
            let text = "the provider `ssh` cannot harm what clients send: netem acts on what leaves a host";
            return Err(Error::Unavailable(text.to_owned()));
        }
    }
    Ok(())
}

/// Neighbours that have a queue on a host, in the order of their queues.
fn queues(view: &View, policies: &Policies) -> Vec<(Side, LinkPolicy)> {
    let mine = policies.iter().filter(|((from, _), p)| *from == Side::Node(view.me) && is_wanted(p));
    mine.map(|((_, to), policy)| (*to, *policy)).collect()
}

/// The queues of a host; empty if it needs none.
pub(super) fn batch(view: &View, interface: &str, policies: &Policies) -> Result<String, Error> {
    let queues = queues(view, policies);
    let mut text = String::new();
    if queues.is_empty() {
        return Ok(text);
    }
    if queues.len() > MOST {
        return Err(Error::Unavailable(format!(
            "a host can harm what goes to {MOST} others at most with tc"
        )));
    }
    let priorities = ["0"; 16].join(" ");
    let on = format!("dev {interface}");
    let _ =
        writeln!(text, "qdisc replace {on} root handle {HANDLE}: prio bands {BANDS} priomap {priorities}");
    for v4 in [true, false] {
        if !queues.iter().any(|(to, _)| view.address(*to).is_ipv4() == v4) {
            continue;
        }
        let (kind, field, first) = family(v4);
        let own = format!("filter add {on} parent {HANDLE}: protocol {kind} prio {first} u32 match {field}");
        let (ssh, ports) = (view.ssh_port, OWN_PORTS.start());
        let _ = writeln!(text, "{own} sport {ssh} 0xffff flowid {HANDLE}:1");
        let _ = writeln!(text, "{own} dport {ports:#x} {ports:#x} flowid {HANDLE}:1");
    }
    for (at, (to, policy)) in queues.iter().enumerate() {
        // The first band is not harmed.
        let band = at + 2;
        let address = view.address(*to);
        let (kind, field, first) = family(address.is_ipv4());
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let after = first + 1;
        let _ = writeln!(
            text,
            "qdisc replace {on} parent {HANDLE}:{band:x} handle {HANDLE}{band:x}: netem limit 100000{}",
            netem(policy)
        );
        let _ = writeln!(
            text,
            "filter add {on} parent {HANDLE}: protocol {kind} prio {after} u32 match {field} dst {address}/{bits} \
             flowid {HANDLE}:{band:x}"
        );
    }
    Ok(text)
}

/// What tc calls a family of addresses, and the first of its two priorities: no priority may serve both.
fn family(v4: bool) -> (&'static str, &'static str, u32) {
    if v4 { ("ip", "ip", 1) } else { ("ipv6", "ip6", 3) }
}

fn netem(policy: &LinkPolicy) -> String {
    let mut text = String::new();
    if let Some(Delay { mean, jitter, shape }) = policy.delay {
        let _ = write!(text, " delay {}us", mean.as_micros());
        if !jitter.is_zero() {
            let _ = write!(text, " {}us", jitter.as_micros());
            text.push_str(match shape {
                DelayShape::Uniform => "",
                DelayShape::Normal => " distribution normal",
                DelayShape::Pareto => " distribution pareto",
            });
        }
    }
    if let Some(Loss { share, burst }) = policy.loss {
        let percent = share * 100.0;
        if burst <= 1.0 || share >= 1.0 {
            let _ = write!(text, " loss random {percent:.4}%");
        } else {
            // Gilbert's model: bursts of `burst` packets on average, and over the long run this share.
            let back = 1.0 / burst;
            let into = back * share / (1.0 - share);
            let _ = write!(text, " loss gemodel {:.4}% {:.4}%", into * 100.0, back * 100.0);
        }
    }
    text
}

/// Packets delayed and lost on the way to each neighbour, from what [`count`] printed.
pub(super) fn counted(view: &View, policies: &Policies, json: &str) -> BTreeMap<Side, (u64, u64)> {
    #[derive(Deserialize)]
    struct Queue {
        kind: String,
        handle: String,
        #[serde(default)]
        packets: u64,
        #[serde(default)]
        drops: u64,
    }
    let found: Vec<Queue> = serde_json::from_str(json).unwrap_or_default();
    let of = |at: usize| {
        let handle = format!("{HANDLE}{:x}:", at + 2);
        found.iter().find(|q| q.kind == "netem" && q.handle == handle)
    };
    let queues = queues(view, policies);
    let told = queues.iter().enumerate().filter_map(|(at, (to, policy))| {
        let queue = of(at)?;
        let delayed = if policy.delay.is_some() { queue.packets } else { 0 };
        let lost = if policy.loss.is_some() { queue.drops } else { 0 };
        Some((*to, (delayed, lost)))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn view() -> View {
        let nodes = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap());
        View { me: 0, nodes: nodes.into(), harness: "10.0.9.1".parse().unwrap(), ssh_port: 22 }
    }

    fn policies() -> Policies {
        let millis = Duration::from_millis;
        let delay = Delay { mean: millis(50), jitter: millis(10), shape: DelayShape::Normal };
        let late = LinkPolicy { delay: Some(delay), ..LinkPolicy::default() };
        let lossy = LinkPolicy { loss: Some(Loss { share: 0.2, burst: 4.0 }), ..LinkPolicy::default() };
        let me = Side::Node(0);
        [
            ((me, Side::Node(1)), late),
            ((me, Side::Clients), lossy),
            ((Side::Node(1), me), late),
            ((me, Side::Node(2)), LinkPolicy::cut()),
        ]
        .into()
    }

    #[test]
    fn a_host_harms_what_leaves_it_and_not_ssh() {
        let expected = "\
qdisc replace dev eth1 root handle 5a1: prio bands 16 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
filter add dev eth1 parent 5a1: protocol ip prio 1 u32 match ip sport 22 0xffff flowid 5a1:1
filter add dev eth1 parent 5a1: protocol ip prio 1 u32 match ip dport 0xf000 0xf000 flowid 5a1:1
qdisc replace dev eth1 parent 5a1:2 handle 5a12: netem limit 100000 delay 50000us 10000us distribution normal
filter add dev eth1 parent 5a1: protocol ip prio 2 u32 match ip dst 10.0.0.2/32 flowid 5a1:2
qdisc replace dev eth1 parent 5a1:3 handle 5a13: netem limit 100000 loss gemodel 6.2500% 25.0000%
filter add dev eth1 parent 5a1: protocol ip prio 2 u32 match ip dst 10.0.9.1/32 flowid 5a1:3
";
        assert_eq!(batch(&view(), "eth1", &policies()).unwrap(), expected);
        let third = View { me: 2, ..view() };
        assert_eq!(batch(&third, "eth1", &policies()).unwrap(), "", "it has nothing to do");
        assert_eq!(remove("eth1").argv.join(" "), "tc qdisc del dev eth1 root handle 5a1:");
    }

    #[test]
    fn what_the_queues_did_is_read_back() {
        let json = r#"[{"kind":"prio","handle":"5a1:","packets":900,"drops":0},
            {"kind":"netem","handle":"5a12:","parent":"5a1:2","packets":41,"drops":3},
            {"kind":"netem","handle":"5a13:","parent":"5a1:3","packets":70,"drops":19}]"#;
        let told = counted(&view(), &policies(), json);
        assert_eq!(told, [(Side::Node(1), (41, 0)), (Side::Clients, (0, 19))].into());
    }

    #[test]
    fn what_cannot_be_proven_is_refused() {
        let link = (Side::Node(0), Side::Node(1));
        for policy in [
            LinkPolicy { duplicate: 0.1, ..LinkPolicy::default() },
            LinkPolicy { half_open: true, ..LinkPolicy::default() },
            LinkPolicy { rate_bytes: Some(1000), ..LinkPolicy::default() },
        ] {
            assert!(check(&[(link, policy)].into()).is_err(), "{policy:?}");
        }
        check(&policies()).unwrap();
        let from_clients = policies().into_iter().map(|((_, b), p)| ((Side::Clients, b), p)).collect();
        assert!(check(&from_clients).is_err());
    }
}
