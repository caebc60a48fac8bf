//! Links as a host sees them: other nodes by their addresses, and all clients as one, since they share the
//! harness's address. The harness's own questions come from ports of their own, which faults leave alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{Endpoint, Error, LinkPolicy};

/// Ports from which the harness itself asks, whatever is done to clients; aligned, so that one mask tells them.
pub(super) const OWN_PORTS: std::ops::RangeInclusive<u16> = 0xf000..=0xffff;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Node(usize),
    Clients,
}

/// Policies of directed links; what is not there is clear.
pub(super) type Policies = BTreeMap<(Side, Side), LinkPolicy>;

/// What a host knows of the network around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Its place in the cluster.
    pub me: usize,
    /// Addresses of all nodes.
    pub nodes: Vec<IpAddr>,
    /// The harness's address.
    pub harness: IpAddr,
    /// The port of this host's sshd: the control channel, which nothing ever cuts.
    pub ssh_port: u16,
}

impl View {
    pub fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Node(node) => self.nodes[node],
            Side::Clients => self.harness,
        }
    }
}

/// Puts clients together. Some of them harmed otherwise than the rest cannot be had here.
pub(super) fn together(
    all: &BTreeMap<(Endpoint, Endpoint), LinkPolicy>,
    slots: usize,
) -> Result<Policies, Error> {
    let mut sides = Policies::new();
    let mut counted: BTreeMap<(Side, Side), usize> = BTreeMap::new();
    let side = |end: Endpoint| match end {
        Endpoint::Node(node) => Side::Node(node),
        Endpoint::Client(_) => Side::Clients,
    };
    for ((from, to), policy) in all.iter().filter(|(_, policy)| !policy.is_clear()) {
        let link = (side(*from), side(*to));
        *counted.entry(link).or_default() += 1;
        if sides.insert(link, *policy).is_some_and(|other| other != *policy) {
            return Err(apart());
        }
    }
    let few = |((a, b), count): (&(Side, Side), &usize)| [a, b].contains(&&Side::Clients) && *count < slots;
    if counted.iter().any(few) {
        return Err(apart());
    }
    Ok(sides)
}

fn apart() -> Error {
    let text =
        "clients of the provider `ssh` share one address: a fault can harm the links of all or of none";
    Error::Unavailable(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_harmed_together_or_not_at_all() {
        let cut = LinkPolicy::cut();
        let client = |slot| ((Endpoint::Client(slot), Endpoint::Node(0)), cut);
        let mut all: BTreeMap<_, _> = [client(0), client(1)].into();
        all.insert((Endpoint::Node(1), Endpoint::Node(0)), cut);
        all.insert((Endpoint::Node(0), Endpoint::Node(1)), LinkPolicy::default());
        let sides = together(&all, 2).unwrap();
        let expected = [(Side::Node(1), Side::Node(0)), (Side::Clients, Side::Node(0))];
        assert_eq!(sides.keys().copied().collect::<Vec<_>>(), expected);
        assert!(together(&all, 3).is_err(), "one client would not be cut");
        all.insert((Endpoint::Client(1), Endpoint::Node(0)), LinkPolicy { reset: true, ..cut });
        assert!(together(&all, 2).is_err(), "they would be cut in two ways");
    }
}
