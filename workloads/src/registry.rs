//! Every workload by its name.

use squall_engine::protocol::WorkloadKind;

use crate::append::Append;
use crate::bank::Bank;
use crate::causal::Causal;
use crate::causal_reverse::CausalReverse;
use crate::counter::Counter;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::long_fork::LongFork;
use crate::mix::Mix;
use crate::monotonic::Monotonic;
use crate::queue::Queue;
use crate::register::Register;
use crate::replicas::Replicas;
use crate::set::Set;
use crate::unique_ids::UniqueIds;
use crate::watch::Watch;
use crate::wr::Wr;
use crate::write_skew::WriteSkew;

/// The workloads that a campaign can name.
pub fn workloads() -> Vec<WorkloadKind> {
    vec![
        WorkloadKind {
            name: "register",
            summary: "reads, writes and compare-and-set of many keys; each key must be linearizable",
            needs: "read, write, cas",
            build: Box::new(Register::build),
        },
        WorkloadKind {
            name: "set",
            summary: "unique elements are added, whole sets are read: none may be lost or come late",
            needs: "set.add, set.read",
            build: Box::new(Set::build),
        },
        WorkloadKind {
            name: "append",
            summary: "transactions of list appends and reads over several keys, judged as Elle does",
            needs: "append.txn",
            build: Box::new(Append::build),
        },
        WorkloadKind {
            name: "lock",
            summary: "locks with leases are held for a while: never two holders; with `fenced`, no write with an old token",
            needs: "lock.acquire, lock.renew, lock.release; fenced: lock.write",
            build: Box::new(Lock::build),
        },
        WorkloadKind {
            name: "queue",
            summary: "unique elements go in and come out, first in first out: none is lost, doubled or out of order",
            needs: "queue.enqueue, queue.dequeue",
            build: Box::new(Queue::build),
        },
        WorkloadKind {
            name: "counter",
            summary: "numbers are added and sums read: each sum between what must and what may have been added",
            needs: "counter.add, counter.read",
            build: Box::new(Counter::build),
        },
        WorkloadKind {
            name: "unique-ids",
            summary: "identifiers are handed out: nobody gets one twice",
            needs: "ids.generate",
            build: Box::new(UniqueIds::build),
        },
        WorkloadKind {
            name: "wr",
            summary: "transactions of reads and unique writes over several keys, each write after a read of its key",
            needs: "wr.txn",
            build: Box::new(Wr::build),
        },
        WorkloadKind {
            name: "internal",
            summary: "transactions that write a key several times and must see their own writes",
            needs: "wr.txn",
            build: Box::new(Wr::build_internal),
        },
        WorkloadKind {
            name: "bank",
            summary: "money is moved between accounts and all balances are read: the total never changes",
            needs: "bank.transfer, bank.read",
            build: Box::new(Bank::build),
        },
        WorkloadKind {
            name: "long-fork",
            summary: "groups of keys, each written once, are read whole: readers must agree on the order of the writes",
            needs: "wr.txn",
            build: Box::new(LongFork::build),
        },
        WorkloadKind {
            name: "causal",
            summary: "chains of reads and writes across keys and nodes: nobody sees an effect without its causes",
            needs: "read, write",
            build: Box::new(Causal::build),
        },
        WorkloadKind {
            name: "causal-reverse",
            summary: "elements are added one after the other: nobody sees a later one without an earlier one",
            needs: "set.add, set.read",
            build: Box::new(CausalReverse::build),
        },
        WorkloadKind {
            name: "session",
            summary: "clients move from node to node: each sees its own writes and never goes back",
            needs: "read, write",
            build: Box::new(Causal::build_session),
        },
        WorkloadKind {
            name: "monotonic",
            summary: "counters are only incremented: what is seen of them has one direction",
            needs: "counter.increment, counter.read",
            build: Box::new(Monotonic::build),
        },
        WorkloadKind {
            name: "write-skew",
            summary: "of two inserts that each look for the other at most one succeeds (Adya's G2)",
            needs: "skew.insert",
            build: Box::new(WriteSkew::build),
        },
        WorkloadKind {
            name: "watch",
            summary: "keys are changed and watched: every watcher is told of everything, once, in order, across nodes",
            needs: "watch.change, watch.watch",
            build: Box::new(Watch::build),
        },
        WorkloadKind {
            name: "replicas",
            summary: "transactions of several puts; at the end every node holds the same at the same revision",
            needs: "watch.change, replica.digest",
            build: Box::new(Replicas::build),
        },
        WorkloadKind {
            name: "lease",
            summary: "keys under leases that nobody renews: gone neither too early nor far too late",
            needs: "lease.grant, lease.read",
            build: Box::new(Lease::build),
        },
        WorkloadKind {
            name: "mix",
            summary: "several workloads at once, each with its own workers and judged by itself: `{of: [register, append]}`",
            needs: "what its parts need",
            build: Box::new(Mix::build),
        },
    ]
}
