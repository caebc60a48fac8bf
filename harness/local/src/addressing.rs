//! Who has which address and which port of the fabric.
//!
//! Node *i* (from 0) is 10.77.0.(i+1). Client slot *s* is 10.77.(1+s/250).(s%250+1), all of them in the one
//! clients' namespace behind one port, told apart by their source address. The clients' host itself, where
//! foreign client programs run, has the slot after the last.
//!
//! In IPv6 node *i* is fd53:7175:616c:6c00::(i+1) and slot *s* is fd53:7175:616c:6c00::1:(s+1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use squall_cluster::Endpoint;

/// Most nodes of a cluster: their addresses fit one /24, with a port each.
pub(crate) const MAX_NODES: usize = 100;
/// Most client slots of a cluster.
pub(crate) const MAX_CLIENTS: usize = 10_000;
/// Slots in each /24 network.
const SLOTS: usize = 250;

/// The IPv6 network, a unique local one (RFC 4193).
const PREFIX6: [u16; 4] = [0xfd53, 0x7175, 0x616c, 0x6c00];
/// What tells slots from nodes in it.
const CLIENTS6: u16 = 1;

/// The shape of a cluster's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    nodes: usize,
    /// The callers' slots and the host's own.
    slots: usize,
}

impl Map {
    /// For so many nodes and client slots, both within the limits above.
    pub fn new(nodes: usize, clients: usize) -> Self {
        Map { nodes, slots: clients + 1 }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The slot of the clients' host itself.
    pub fn host_slot(&self) -> usize {
        self.slots - 1
    }

    /// An endpoint's address.
    pub fn address(&self, endpoint: Endpoint) -> Ipv4Addr {
        let byte = |number: usize| u8::try_from(number).expect("the limits above keep addresses in a byte");
        match endpoint {
            Endpoint::Node(node) => Ipv4Addr::new(10, 77, 0, byte(node + 1)),
            Endpoint::Client(slot) => Ipv4Addr::new(10, 77, byte(1 + slot / SLOTS), byte(slot % SLOTS + 1)),
        }
    }

    /// An endpoint's IPv6 address.
    pub fn address6(&self, endpoint: Endpoint) -> Ipv6Addr {
        let [a, b, c, d] = PREFIX6;
        let (network, host) = match endpoint {
            Endpoint::Node(node) => (0, node),
            Endpoint::Client(slot) => (CLIENTS6, slot),
        };
        let host = u16::try_from(host + 1).expect("the limits above keep hosts in 16 bits");
        Ipv6Addr::new(a, b, c, d, 0, 0, network, host)
    }

    /// The /112 network that holds the slots.
    pub fn client_network6(&self) -> Ipv6Addr {
        let [a, b, c, d] = PREFIX6;
        Ipv6Addr::new(a, b, c, d, 0, 0, CLIENTS6, 0)
    }

    /// The /24 networks that hold the slots.
    pub fn client_networks(&self) -> Vec<Ipv4Addr> {
        let count = self.slots.div_ceil(SLOTS);
        (0..count)
            .map(|network| self.address(Endpoint::Client(network * SLOTS)))
            .map(|first| Ipv4Addr::new(first.octets()[0], first.octets()[1], first.octets()[2], 0))
            .collect()
    }

    /// Whose address this is.
    pub fn endpoint(&self, address: IpAddr) -> Option<Endpoint> {
        let address = match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => return self.endpoint6(address),
        };
        let [10, 77, network, host] = address.octets() else { return None };
        let (network, host) = (usize::from(network), usize::from(host).checked_sub(1)?);
        if network == 0 {
            return (host < self.nodes).then_some(Endpoint::Node(host));
        }
        let slot = (network - 1) * SLOTS + host;
        (host < SLOTS && slot < self.slots).then_some(Endpoint::Client(slot))
    }

    fn endpoint6(&self, address: Ipv6Addr) -> Option<Endpoint> {
        let [a, b, c, d, 0, 0, network, host] = address.segments() else { return None };
        let host = usize::from(host).checked_sub(1)?;
        match network {
            _ if [a, b, c, d] != PREFIX6 => None,
            0 => (host < self.nodes).then_some(Endpoint::Node(host)),
            CLIENTS6 => (host < self.slots).then_some(Endpoint::Client(host)),
            _ => None,
        }
    }

    /// The port behind which an endpoint is.
    pub fn port(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Node(node) => node,
            Endpoint::Client(_) => self.nodes,
        }
    }

    /// Number of directed links: between nodes, and between each slot and each node, both ways.
    pub fn links(&self) -> usize {
        self.nodes * self.nodes + 2 * self.nodes * self.slots
    }

    /// A directed link's number, if there is such a link: none joins two clients, nor a node to itself.
    pub fn link(&self, from: Endpoint, to: Endpoint) -> Option<usize> {
        let (nodes, slots) = (self.nodes, self.slots);
        match (from, to) {
            (Endpoint::Node(a), Endpoint::Node(b)) if a < nodes && b < nodes && a != b => Some(a * nodes + b),
            (Endpoint::Node(a), Endpoint::Client(s)) if a < nodes && s < slots => {
                Some(nodes * nodes + a * slots + s)
            }
            (Endpoint::Client(s), Endpoint::Node(a)) if a < nodes && s < slots => {
                Some(nodes * nodes + nodes * slots + a * slots + s)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_own_address_and_is_found_by_it() {
        let map = Map::new(100, 999);
        let ends = (0..100).map(Endpoint::Node).chain((0..1000).map(Endpoint::Client));
        let mut seen = std::collections::HashSet::new();
        for end in ends {
            let address = map.address(end);
            assert!(seen.insert(address), "{address} twice");
            assert_eq!(map.endpoint(address.into()), Some(end));
            assert_eq!(map.endpoint(map.address6(end).into()), Some(end));
        }
        for stranger in [
            "10.77.0.0",
            "10.77.0.101",
            "10.77.4.251",
            "10.77.5.1",
            "10.78.0.1",
            "fd53:7175:616c:6c00::65",
            "fe80::1",
        ] {
            assert_eq!(map.endpoint(stranger.parse().unwrap()), None, "{stranger}");
        }
    }

    #[test]
    fn every_link_has_its_own_number() {
        let map = Map::new(5, 7);
        let ends: Vec<Endpoint> = (0..6).map(Endpoint::Node).chain((0..9).map(Endpoint::Client)).collect();
        let mut seen = std::collections::HashSet::new();
        for from in &ends {
            for to in &ends {
                if let Some(link) = map.link(*from, *to) {
                    assert!(link < map.links());
                    assert!(seen.insert(link), "{from:?} {to:?}");
                }
            }
        }
        assert_eq!(seen.len(), 5 * 4 + 2 * 5 * 8, "nodes 0 to 4, slots 0 to 6 and the host's");
        assert_eq!(map.client_networks(), [Ipv4Addr::new(10, 77, 1, 0)]);
    }
}
