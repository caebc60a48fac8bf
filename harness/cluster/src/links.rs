//! The network between nodes, and between clients and nodes, as directed links with a policy each.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// A node, by its place in the cluster, from 0.
    Node(usize),
    /// A client slot, from 0: each process that acts at a time has a slot and an address of its own.
    Client(usize),
}

/// How random delays are spread around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DelayShape {
    /// Evenly between mean − jitter and mean + jitter.
    #[default]
    Uniform,
    /// A normal distribution whose standard deviation is the jitter.
    Normal,
    /// A Pareto distribution, scaled as netem scales it: mostly short, with a long tail.
    Pareto,
}

/// A one-way delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// Its mean.
    pub mean: Duration,
    /// Its spread.
    pub jitter: Duration,
    /// What the spread looks like.
    pub shape: DelayShape,
}

/// Lost packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Share of packets lost over the long run, 0 to 1.
    pub share: f64,
    /// Mean number of packets lost in a row; 1 means independent losses (Gilbert's model otherwise).
    pub burst: f64,
}

/// What a directed link does to packets. The default lets everything pass at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkPolicy {
    /// Drops everything.
    pub down: bool,
    /// Delays each packet.
    pub delay: Option<Delay>,
    /// Loses some.
    pub loss: Option<Loss>,
    /// Share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of packets that overtake those before them, 0 to 1. Needs a delay to have room.
    pub reorder: f64,
    /// Share of packets in which a bit is flipped, 0 to 1.
    pub corrupt: f64,
    /// Whether the flipped packet's checksum is made right again, so that only the application can notice.
    pub corrupt_undetected: bool,
    /// Bytes a second, with a bounded queue.
    pub rate_bytes: Option<u64>,
    /// Answers TCP segments with a reset instead of delivering them.
    pub reset: bool,
    /// Lets connections that were open before die without a word: only TCP connections whose first segment is
    /// seen under this policy pass. Other protocols are left alone.
    pub half_open: bool,
}

impl LinkPolicy {
    /// The policy of a cut link.
    pub fn cut() -> Self {
        LinkPolicy { down: true, ..LinkPolicy::default() }
    }

    /// Whether it does nothing.
    pub fn is_clear(&self) -> bool {
        *self == LinkPolicy::default()
    }
}

/// What a directed link has done since the cluster was made. Packets are IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Packets delivered.
    pub delivered: u64,
    /// Bytes delivered.
    pub delivered_bytes: u64,
    /// Packets dropped because the link was down.
    pub cut: u64,
    /// Packets lost by the loss policy.
    pub lost: u64,
    /// Packets dropped because a queue was full.
    pub overflowed: u64,
    /// Packets delayed.
    pub delayed: u64,
    /// Packets delivered twice.
    pub duplicated: u64,
    /// Packets that overtook others.
    pub reordered: u64,
    /// Packets spoilt.
    pub corrupted: u64,
    /// Packets answered by a reset.
    pub reset: u64,
    /// Segments of connections that were made to die without a word.
    #[serde(default)]
    pub silenced: u64,
}

/// A packet between two nodes that carried an application's bytes, as the network saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// The node that sent it, by its place.
    pub from: usize,
    /// The node that it was for.
    pub to: usize,
    /// When it left.
    pub sent: Instant,
    /// When it arrived, or will; `None` if the network kept it.
    pub arrived: Option<Instant>,
    /// Length of the application's bytes, at most 65,535.
    pub bytes: u16,
}

/// All links of a cluster.
#[async_trait]
pub trait Links: Send + Sync + std::fmt::Debug {
    /// Replaces the policies of these directed links, all in one step as far as the provider can.
    async fn apply(&self, changes: &[(Endpoint, Endpoint, LinkPolicy)]) -> Result<(), Error>;

    /// Clears every link.
    async fn heal(&self) -> Result<(), Error>;

    /// Reads the counters afresh, where they are kept elsewhere than in the harness: [`Links::counters`] is as of now
    /// after this.
    async fn measure(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The policy in force on a directed link, as the network itself has it.
    fn policy(&self, from: Endpoint, to: Endpoint) -> LinkPolicy;

    /// What a directed link has done so far.
    fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters;

    /// The last messages between nodes, in the order in which they left; a bounded number. None where the network
    /// is not seen from outside.
    fn messages(&self) -> Vec<LinkMessage> {
        Vec::new()
    }
}
