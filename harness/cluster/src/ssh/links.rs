//! The links between hosts: what faults want of them, brought to each host's firewall and queues.
//!
//! A host is changed in one step, hosts side by side but not in one: between the first and the last there are
//! milliseconds. Counters are the hosts' own; they are as of the last [`Links::measure`], or the last change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;

use super::firewall::{self, Harm};
use super::shell::{Shell, must};
use super::sides::{Policies, Side, View, together};
use super::{all, netem};
use crate::{Endpoint, Error, Exit, LinkCounters, LinkPolicy, Links};

/// A host as links need it.
#[derive(Debug)]
pub(super) struct HostSide {
    pub name: String,
    pub shell: Arc<dyn Shell>,
    pub view: View,
    /// The interface of its address, where queues go; only where they are wanted.
    pub interface: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct SshLinks {
    hosts: Vec<Arc<HostSide>>,
    /// Client slots that faults may harm: all but the harness's own, which is the last.
    slots: usize,
    state: Mutex<State>,
    // What the hosts have. Held while they are changed.
    laid: AsyncMutex<Laid>,
}

#[derive(Debug, Default)]
struct State {
    policies: BTreeMap<(Endpoint, Endpoint), LinkPolicy>,
    counters: BTreeMap<(Side, Side), LinkCounters>,
    // What queues had counted before the ones that are there now.
    before: BTreeMap<(Side, Side), (u64, u64)>,
}

#[derive(Debug, Default)]
struct Laid {
    sides: Policies,
    tables: bool,
    queues: bool,
}

impl SshLinks {
    pub fn new(hosts: Vec<HostSide>, slots: usize) -> Self {
        let hosts = hosts.into_iter().map(Arc::new).collect();
        SshLinks { hosts, slots, state: Mutex::default(), laid: AsyncMutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lay(&self, laid: &mut Laid, sides: Policies) -> Result<(), Error> {
        netem::check(&sides)?;
        // Said before anything is done: half of a change that went wrong is there all the same.
        laid.tables = true;
        let queued = sides.values().any(netem::is_wanted);
        let (queues, first) = (laid.queues || queued, !laid.queues);
        laid.queues = queues;
        let changed = all(self.hosts.iter().cloned(), |host| {
            let sides = sides.clone();
            async move { change(&host, &sides, queues, first).await }
        });
        changed.await?;
        laid.sides = sides;
        Ok(())
    }

    async fn count(&self, laid: &Laid, queues_end: bool) -> Result<(), Error> {
        if !laid.tables {
            return Ok(());
        }
        let told = all(self.hosts.iter().cloned(), |host| {
            let (sides, queues) = (laid.sides.clone(), laid.queues);
            async move { count(&host, &sides, queues).await }
        });
        let told = told.await?;
        let mut state = self.state();
        let State { counters, before, .. } = &mut *state;
        for (me, (harms, queues)) in told.into_iter().enumerate() {
            for ((from, to, harm), packets) in harms {
                let counter = counters.entry((from, to)).or_default();
                match harm {
                    Harm::Cut => counter.cut = counter.cut.max(packets),
                    Harm::Reset => counter.reset = counter.reset.max(packets),
                }
            }
            for (to, (delayed, lost)) in queues {
                let link = (Side::Node(me), to);
                let base = before.entry(link).or_default();
                let now = (base.0 + delayed, base.1 + lost);
                let counter = counters.entry(link).or_default();
                (counter.delayed, counter.lost) = now;
                if queues_end {
                    *base = now;
                }
            }
        }
        Ok(())
    }
}

/// Brings a host what it is to do. `queues` and `first`: whether there may be queues, and there were none before.
async fn change(host: &HostSide, sides: &Policies, queues: bool, first: bool) -> Result<(), Error> {
    host.shell.arm(firewall::remove()).await?;
    must(&*host.shell, &host.name, firewall::load(firewall::table(&host.view, sides))).await?;
    let (true, Some(interface)) = (queues, &host.interface) else { return Ok(()) };
    host.shell.arm(netem::remove(interface)).await?;
    let text = netem::batch(&host.view, interface, sides)?;
    if !first {
        // That there are none is fine.
        host.shell.run(netem::remove(interface)).await?;
    }
    if !text.is_empty() {
        must(&*host.shell, &host.name, netem::load(text)).await?;
    }
    Ok(())
}

type Counted = (BTreeMap<(Side, Side, Harm), u64>, BTreeMap<Side, (u64, u64)>);

async fn count(host: &HostSide, sides: &Policies, queues: bool) -> Result<Counted, Error> {
    let harms = must(&*host.shell, &host.name, firewall::count()).await?;
    let queued = match &host.interface {
        Some(interface) if queues => must(&*host.shell, &host.name, netem::count(interface)).await?,
        _ => String::new(),
    };
    Ok((firewall::counted(&harms), netem::counted(&host.view, sides, &queued)))
}

/// Takes everything off a host, and looks whether it is gone.
async fn heal(host: &HostSide, queues: bool) -> Result<(), Error> {
    host.shell.run(firewall::remove()).await?;
    if let (Exit::Code(0), ..) = host.shell.run(firewall::look()).await? {
        return Err(Error::Broken(format!("the firewall's table is still there on {}", host.name)));
    }
    if let (true, Some(interface)) = (queues, &host.interface) {
        host.shell.run(netem::remove(interface)).await?;
        let left = must(&*host.shell, &host.name, netem::count(interface)).await?;
        if left.contains("netem") {
            return Err(Error::Broken(format!("there are still queues on {interface} of {}", host.name)));
        }
    }
    Ok(())
}

fn sides_of(from: Endpoint, to: Endpoint) -> Option<(Side, Side)> {
    let side = |end| match end {
        Endpoint::Node(node) => Some(Side::Node(node)),
        // What happened to all clients is told of the first: sums over all are right then.
        Endpoint::Client(0) => Some(Side::Clients),
        Endpoint::Client(_) => None,
    };
    Some((side(from)?, side(to)?))
}

#[async_trait]
impl Links for SshLinks {
    async fn apply(&self, changes: &[(Endpoint, Endpoint, LinkPolicy)]) -> Result<(), Error> {
        let mut laid = self.laid.lock().await;
        let mut policies = self.state().policies.clone();
        for (from, to, policy) in changes {
            match policy.is_clear() {
                true => policies.remove(&(*from, *to)),
                false => policies.insert((*from, *to), *policy),
            };
        }
        let sides = together(&policies, self.slots)?;
        // Queues that are replaced take their counts with them.
        self.count(&laid, true).await?;
        self.lay(&mut laid, sides).await?;
        self.state().policies = policies;
        Ok(())
    }

    async fn heal(&self) -> Result<(), Error> {
        let mut laid = self.laid.lock().await;
        self.count(&laid, true).await?;
        let queues = laid.queues;
        all(self.hosts.iter().cloned(), |host| async move { heal(&host, queues).await }).await?;
        *laid = Laid::default();
        self.state().policies.clear();
        Ok(())
    }

    async fn measure(&self) -> Result<(), Error> {
        let laid = self.laid.lock().await;
        self.count(&laid, false).await
    }

    fn policy(&self, from: Endpoint, to: Endpoint) -> LinkPolicy {
        self.state().policies.get(&(from, to)).copied().unwrap_or_default()
    }

    fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters {
        let link = sides_of(from, to);
        link.and_then(|link| self.state().counters.get(&link).copied()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::shell::Recorded;
    use super::*;
    use crate::{Delay, DelayShape};

    fn links(says: Vec<(&'static str, i32, &'static str)>) -> (Vec<Arc<Recorded>>, SshLinks) {
        let nodes: Vec<_> = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap()).into();
        let shells: Vec<_> =
            (0..2).map(|_| Arc::new(Recorded { says: says.clone(), ..Recorded::default() })).collect();
        let host = |me: usize| HostSide {
            name: format!("n{}", me + 1),
            shell: shells[me].clone(),
            view: View { me, nodes: nodes.clone(), harness: "10.0.9.1".parse().unwrap(), ssh_port: 22 },
            interface: Some("eth0".into()),
        };
        (shells.clone(), SshLinks::new(vec![host(0), host(1)], 1))
    }

    const GONE: (&str, i32, &str) = ("nft list table", 1, "");

    #[tokio::test]
    async fn a_cut_is_laid_counted_and_healed() {
        let counted = r#"{"nftables": [{"counter": {"name": "cut_n1_n2", "packets": 12}}]}"#;
        let (shells, links) = links(vec![GONE, ("nft -j", 0, counted)]);
        let (a, b) = (Endpoint::Node(0), Endpoint::Node(1));
        links.apply(&[(a, b, LinkPolicy::cut())]).await.unwrap();
        let expected = "\
undo: nft delete table inet squall
$ nft -f -
  add table inet squall
  add chain inet squall input { type filter hook input priority -10; policy accept; }
  add chain inet squall output { type filter hook output priority -10; policy accept; }
  add counter inet squall cut_n1_n2
  flush chain inet squall input
  flush chain inet squall output
  add rule inet squall input tcp dport 22 accept
  add rule inet squall output tcp sport 22 accept
  add rule inet squall input ip saddr 10.0.0.1 counter name cut_n1_n2 drop
";
        assert_eq!(shells[1].taken(), expected);
        assert!(!shells[0].taken().contains("counter"), "what it sends is not its to drop");
        assert!(links.policy(a, b).down && !links.policy(b, a).down);
        links.measure().await.unwrap();
        assert_eq!(links.counters(a, b).cut, 12);
        links.heal().await.unwrap();
        assert!(links.policy(a, b).is_clear());
        let healed = "$ nft delete table inet squall\n$ nft list table inet squall\n";
        assert!(shells[1].taken().ends_with(healed));
        assert_eq!(links.counters(a, b).cut, 12, "what was counted is not forgotten");
    }

    #[tokio::test]
    async fn a_table_that_stays_is_no_healing() {
        let (_, links) = links(vec![("nft -j", 0, "{}")]);
        links.apply(&[(Endpoint::Node(0), Endpoint::Node(1), LinkPolicy::cut())]).await.unwrap();
        assert!(links.heal().await.unwrap_err().to_string().contains("still there on n"));
    }

    #[tokio::test]
    async fn delays_go_to_queues_and_counts_outlive_them() {
        let queues = r#"[{"kind": "netem", "handle": "5a12:", "packets": 30, "drops": 0}]"#;
        let (shells, links) = links(vec![GONE, ("nft -j", 0, "{}"), ("tc -s", 0, queues)]);
        let delay = Delay {
            mean: std::time::Duration::from_millis(5),
            jitter: Default::default(),
            shape: DelayShape::Uniform,
        };
        let late = LinkPolicy { delay: Some(delay), ..LinkPolicy::default() };
        let (a, b) = (Endpoint::Node(0), Endpoint::Node(1));
        links.apply(&[(a, b, late)]).await.unwrap();
        let asked = shells[0].taken();
        assert!(asked.contains("undo: tc qdisc del dev eth0 root handle 5a1:\n$ tc -batch -\n"), "{asked}");
        assert!(!shells[1].taken().contains("tc -batch"), "it sends nothing late");
        links.measure().await.unwrap();
        assert_eq!(links.counters(a, b).delayed, 30);
        links.apply(&[(a, b, LinkPolicy::default())]).await.unwrap();
        assert!(shells[0].taken().ends_with("$ tc qdisc del dev eth0 root handle 5a1:\n"));
        assert_eq!(links.counters(a, b).delayed, 30);
        links.apply(&[(a, b, late)]).await.unwrap();
        links.measure().await.unwrap();
        assert_eq!(links.counters(a, b).delayed, 60);
    }
}
