//! Consistency models as data: names, what each implies, what each forbids.
//!
//! The shape follows Adya's thesis (1999), Bailis et al., "Highly Available Transactions" (VLDB 2013), Cerone,
//! Bernardi and Gotsman (CONCUR 2015), Biswas and Enea (OOPSLA 2019), Bouajjani et al. (POPL 2017), Perrin et
//! al. (PPoPP 2016), and the map that Elle's users know. Adding a model is one entry here.

use std::collections::BTreeSet;

/// What a model speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Transactions of several operations.
    Transactions,
    /// Single operations on objects, and sessions of them.
    Objects,
}

/// A consistency model.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its name in squall.
    pub name: &'static str,
    /// Other names, which are accepted.
    pub aliases: &'static [&'static str],
    /// What it speaks about.
    pub family: Family,
    /// One sentence.
    pub about: &'static str,
    /// Weaker models: a history that satisfies this one satisfies them.
    pub implies: &'static [&'static str],
    /// Anomalies that must not occur, beyond those that weaker models forbid.
    pub forbids: &'static [&'static str],
}

const fn txn(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    implies: &'static [&'static str],
    forbids: &'static [&'static str],
) -> Model {
    Model { name, aliases, family: Family::Transactions, about, implies, forbids }
}

const fn object(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    implies: &'static [&'static str],
    forbids: &'static [&'static str],
) -> Model {
    Model { name, aliases, family: Family::Objects, about, implies, forbids }
}

/// All models, each after those that it implies.
pub const MODELS: &[Model] = &[
    txn(
        "read-uncommitted",
        &["PL-1", "ru"],
        "Writes of different transactions do not interleave in a circle.",
        &[],
        &["G0", "duplicate-elements", "cyclic-versions"],
    ),
    txn(
        "read-committed",
        &["PL-2", "rc"],
        "Nobody reads what was aborted or intermediate, and information does not flow in a circle.",
        &["read-uncommitted"],
        &["G1"],
    ),
    txn(
        "monotonic-atomic-view",
        &["mav"],
        "Once a part of a transaction's effects is seen, the transaction keeps seeing all of them.",
        &["read-committed"],
        &["non-monotonic-atomic-view"],
    ),
    txn(
        "cursor-stability",
        &["PL-CS"],
        "Read committed, and no update of one object is lost.",
        &["read-committed"],
        &["lost-update"],
    ),
    txn(
        "monotonic-view",
        &["PL-2L"],
        "What a transaction has seen does not vanish while it runs.",
        &["read-committed"],
        &[],
    ),
    txn(
        "monotonic-snapshot-read",
        &["PL-MSR"],
        "Each read sees a snapshot, and later reads no older one.",
        &["read-committed"],
        &[],
    ),
    txn(
        "consistent-view",
        &["PL-2+"],
        "A transaction sees a consistent part of the past: no cycle with a single anti-dependency.",
        &["cursor-stability", "monotonic-view", "monotonic-atomic-view"],
        &["G-single"],
    ),
    txn(
        "forward-consistent-view",
        &["PL-FCV"],
        "A consistent view that may reach past the transaction's start.",
        &["consistent-view"],
        &[],
    ),
    txn(
        "repeatable-read",
        &["PL-2.99", "rr"],
        "Serializable, but for predicates.",
        &["cursor-stability", "monotonic-atomic-view"],
        &["G2-item", "lost-update"],
    ),
    txn(
        "read-atomic",
        &["ra"],
        "All or nothing of another transaction is seen.",
        &["monotonic-atomic-view"],
        &["internal", "G1a", "future-read", "fractured-read"],
    ),
    txn(
        "update-atomic",
        &["ROLA"],
        "Read atomic, and no update of one object is lost.",
        &["read-atomic", "cursor-stability"],
        &["lost-update"],
    ),
    txn(
        "causal-cerone",
        &[],
        "Read atomic, and whoever sees an effect sees its causes; sessions do not count.",
        &["read-atomic"],
        &["internal", "G1a", "causality-violation"],
    ),
    txn(
        "prefix",
        &["prefix-consistency", "consistent-prefix"],
        "Every transaction sees a prefix of one order of commits.",
        &["causal-cerone"],
        &["internal", "G1a", "prefix-violation"],
    ),
    txn(
        "parallel-snapshot-isolation",
        &["psi"],
        "Snapshots that respect causes, and no two concurrent writers of one object; commits may be seen in \
         different orders.",
        &["causal-cerone", "update-atomic", "consistent-view"],
        &["internal", "G1a", "G-single"],
    ),
    txn(
        "snapshot-isolation",
        &["PL-SI", "si"],
        "Every transaction reads a snapshot, and no two concurrent ones write the same object.",
        &["forward-consistent-view", "monotonic-snapshot-read", "parallel-snapshot-isolation", "prefix"],
        &["internal", "G1", "G-nonadjacent", "long-fork"],
    ),
    txn(
        "update-serializable",
        &["PL-3U"],
        "Transactions that write are serializable, and each reader fits into their order.",
        &["forward-consistent-view"],
        &["G-update"],
    ),
    txn(
        "serializable",
        &["PL-3", "conflict-serializable", "ser"],
        "As if transactions ran one after the other, in some order.",
        &["repeatable-read", "snapshot-isolation", "update-serializable"],
        &["G1", "G2", "internal"],
    ),
    txn(
        "strong-session-read-uncommitted",
        &["strong-session-PL-1"],
        "Read uncommitted, in an order that follows each process.",
        &["read-uncommitted"],
        &["G0-process"],
    ),
    txn(
        "strong-session-read-committed",
        &["strong-session-PL-2"],
        "Read committed, in an order that follows each process.",
        &["read-committed", "strong-session-read-uncommitted"],
        &["G1-process"],
    ),
    txn(
        "strong-session-read-atomic",
        &[],
        "Read atomic, where what a process did before counts as seen.",
        &["read-atomic", "strong-session-read-committed"],
        &["fractured-read-process"],
    ),
    txn(
        "causal",
        &["causal-convergence", "ccv", "transactional-causal", "tcc", "causal+"],
        "Whoever sees an effect sees its causes, own earlier acts included, and all agree on the order of \
         conflicting writes.",
        &["strong-session-read-atomic", "causal-cerone", "weak-causal", "session-guarantees"],
        &["causality-violation-process", "CyclicCF"],
    ),
    txn(
        "strong-session-snapshot-isolation",
        &["strong-session-PL-SI"],
        "Snapshot isolation, and a process sees what it did before.",
        &["snapshot-isolation", "causal"],
        &["G1-process", "G-nonadjacent-process"],
    ),
    txn(
        "strong-session-serializable",
        &["strong-session-PL-3", "session-serializable"],
        "Serializable, in an order that follows each process.",
        &["serializable", "strong-session-snapshot-isolation"],
        &["G2-process"],
    ),
    txn(
        "strong-read-uncommitted",
        &["strong-PL-1"],
        "Read uncommitted, in an order that follows real time.",
        &["strong-session-read-uncommitted"],
        &["G0-realtime"],
    ),
    txn(
        "strong-read-committed",
        &["strong-PL-2"],
        "Read committed, in an order that follows real time.",
        &["strong-session-read-committed", "strong-read-uncommitted"],
        &["G1-realtime"],
    ),
    txn(
        "strong-snapshot-isolation",
        &["strong-si"],
        "Snapshot isolation, and every snapshot holds all that was committed before it began.",
        &["strong-session-snapshot-isolation", "strong-read-committed"],
        &["G-nonadjacent-realtime"],
    ),
    txn(
        "strict-serializable",
        &["PL-SS", "strong-serializable", "strict-1SR"],
        "Serializable, in an order that follows real time.",
        &["strong-session-serializable", "strong-snapshot-isolation", "linearizable"],
        &["G2-realtime"],
    ),
    object(
        "read-your-writes",
        &["ryw"],
        "A process sees its own earlier writes.",
        &[],
        &["read-your-writes-violation"],
    ),
    object(
        "monotonic-reads",
        &["mr"],
        "What a process has seen does not vanish from its later reads.",
        &[],
        &["monotonic-reads-violation"],
    ),
    object(
        "monotonic-writes",
        &["mw"],
        "Writes of one process are seen in the order in which it made them.",
        &[],
        &["monotonic-writes-violation"],
    ),
    object(
        "writes-follow-reads",
        &["wfr"],
        "Who sees a write sees what its writer had read.",
        &[],
        &["writes-follow-reads-violation"],
    ),
    object(
        "session-guarantees",
        &["session", "strong-session"],
        "Read your writes, monotonic reads, monotonic writes and writes follow reads together.",
        &["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"],
        &[],
    ),
    object(
        "pram",
        &["fifo"],
        "Each process sees the writes of every process in the order in which that made them.",
        &["read-your-writes", "monotonic-reads", "monotonic-writes"],
        &["pram-violation"],
    ),
    object(
        "weak-causal",
        &["cc", "causal-consistency", "wcc"],
        "Nobody reads what it knows to be overwritten; processes may disagree on concurrent writes for ever.",
        &[],
        &["CyclicCO", "WriteCOInitRead", "ThinAirRead", "WriteCORead"],
    ),
    object(
        "causal-memory",
        &["cm"],
        "Each process explains what it read by one order of all writes that keeps causes before effects.",
        &["weak-causal", "pram", "session-guarantees"],
        &["WriteHBInitRead", "CyclicHB"],
    ),
    object(
        "sequential",
        &["sequential-consistency", "sc"],
        "As if all operations ran one after the other, each process's in its own order.",
        &["causal-memory", "causal"],
        &["not-sequential"],
    ),
    object(
        "linearizable",
        &["atomic", "linearizability"],
        "As if each operation took effect at one moment between its call and its return.",
        &["sequential"],
        &["nonlinearizable"],
    ),
];

/// Anomalies that are special cases of others: (special, general).
const ANOMALIES: &[(&str, &[&str])] = &[
    ("G0", &["G1c", "G0-process"]),
    ("G0-process", &["G1c-process", "G0-realtime"]),
    ("G0-realtime", &["G1c-realtime"]),
    ("G1a", &["G1"]),
    ("G1b", &["G1"]),
    ("G1c", &["G1", "G1c-process"]),
    ("G1c-process", &["G1-process", "G1c-realtime"]),
    ("G1c-realtime", &["G1-realtime"]),
    ("G1", &["G1-process"]),
    ("G1-process", &["G1-realtime"]),
    ("G-single", &["G-nonadjacent", "G2-item", "G-single-process"]),
    ("G-single-process", &["G-nonadjacent-process", "G2-item-process", "G-single-realtime"]),
    ("G-single-realtime", &["G-nonadjacent-realtime", "G2-item-realtime"]),
    ("G-nonadjacent", &["G2-item", "G-nonadjacent-process"]),
    ("G-nonadjacent-process", &["G2-item-process", "G-nonadjacent-realtime"]),
    ("G-nonadjacent-realtime", &["G2-item-realtime"]),
    ("G2-item", &["G2", "G2-item-process"]),
    ("G2-item-process", &["G2-process", "G2-item-realtime"]),
    ("G2-item-realtime", &["G2-realtime"]),
    ("G2", &["G2-process"]),
    ("G2-process", &["G2-realtime"]),
    ("incompatible-order", &["G1a"]),
    ("dirty-update", &["G1a"]),
    ("thin-air-read", &["G1a", "ThinAirRead"]),
    ("future-read", &["G1c"]),
    // Whichever of the two came last overwrote what it had not seen.
    ("lost-update", &["G-single"]),
    ("fractured-read", &["fractured-read-process", "causality-violation"]),
    ("fractured-read-process", &["causality-violation-process"]),
    ("causality-violation", &["causality-violation-process"]),
];

/// The model of this name or alias, in any case, with `_` or blanks for `-`.
pub fn model(name: &str) -> Option<&'static Model> {
    let wanted = name.trim().trim_start_matches(':').replace(['_', ' '], "-").to_ascii_lowercase();
    MODELS.iter().find(|m| {
        m.name.eq_ignore_ascii_case(&wanted) || m.aliases.iter().any(|a| a.eq_ignore_ascii_case(&wanted))
    })
}

/// The anomalies themselves and all that they are special cases of.
pub fn generalize<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut todo: Vec<String> = anomalies.into_iter().map(str::to_owned).collect();
    while let Some(next) = todo.pop() {
        if let Some((_, general)) = ANOMALIES.iter().find(|(special, _)| *special == next) {
            todo.extend(general.iter().map(|&g| g.to_owned()).filter(|g| !all.contains(g)));
        }
        all.insert(next);
    }
    all
}

/// The model itself and all that it implies.
pub fn implied(model: &'static Model) -> Vec<&'static Model> {
    let mut seen: BTreeSet<&str> = BTreeSet::from([model.name]);
    let mut todo = vec![model];
    let mut all = Vec::new();
    while let Some(next) = todo.pop() {
        all.push(next);
        for &weaker in next.implies {
            let entry = self::model(weaker).expect("the table names only models that it holds");
            if seen.insert(entry.name) {
                todo.push(entry);
            }
        }
    }
    all
}

/// Whether `model` forbids this anomaly, directly or through what it implies.
pub fn forbids(model: &'static Model, anomaly: &str) -> bool {
    let general = generalize([anomaly]);
    implied(model).iter().any(|m| m.forbids.iter().any(|&f| general.contains(f)))
}

/// The models that these anomalies rule out: the weakest of them, and the rest. In the order of [`MODELS`].
pub fn boundary<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> (Vec<&'static str>, Vec<&'static str>) {
    let general = generalize(anomalies);
    let broken: Vec<&'static Model> = MODELS
        .iter()
        .filter(|&m| implied(m).iter().any(|w| w.forbids.iter().any(|&f| general.contains(f))))
        .collect();
    split_weakest(&broken)
}

/// Splits models into the weakest of them and the rest.
pub fn split_weakest(models: &[&'static Model]) -> (Vec<&'static str>, Vec<&'static str>) {
    let is_weakest = |m: &&'static Model| {
        implied(m).iter().all(|w| w.name == m.name || models.iter().all(|other| other.name != w.name))
    };
    let (weakest, rest): (Vec<_>, Vec<_>) = models.iter().copied().partition(is_weakest);
    let names = |models: Vec<&'static Model>| models.iter().map(|m| m.name).collect();
    (names(weakest), names(rest))
}

/// The strongest of some models: those that no other of them implies.
pub fn strongest(models: &[&'static Model]) -> Vec<&'static str> {
    let covered: BTreeSet<&str> = models
        .iter()
        .flat_map(|m| implied(m).into_iter().filter(|w| w.name != m.name).map(|w| w.name))
        .collect();
    models.iter().map(|m| m.name).filter(|name| !covered.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_comes_after_those_that_it_implies() {
        for (i, m) in MODELS.iter().enumerate() {
            for &weaker in m.implies {
                let at = MODELS.iter().position(|x| x.name == weaker);
                let at = at.unwrap_or_else(|| panic!("{} implies the unknown {weaker}", m.name));
                assert!(at < i || Family::Objects == MODELS[at].family, "{} before {weaker}", m.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_forgiving() {
        let mut names: Vec<String> = MODELS
            .iter()
            .flat_map(|m| m.aliases.iter().chain([&m.name]))
            .map(|n| n.to_ascii_lowercase())
            .collect();
        let before = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), before);
        assert_eq!(model("Snapshot Isolation").unwrap().name, "snapshot-isolation");
        assert_eq!(model(":PL-SI").unwrap().name, "snapshot-isolation");
        assert!(model("no-such-model").is_none());
    }

    #[test]
    fn a_write_skew_rules_out_serializability_only() {
        let (not, also_not) = boundary(["G2-item"]);
        assert_eq!(not, ["repeatable-read"]);
        assert_eq!(also_not, ["serializable", "strong-session-serializable", "strict-serializable"]);
    }

    #[test]
    fn an_aborted_read_leaves_read_uncommitted_and_sessions_alone() {
        let (not, also_not) = boundary(["G1a"]);
        assert_eq!(not, ["read-committed"]);
        assert!(also_not.contains(&"strict-serializable") && also_not.contains(&"causal"));
        assert!(!also_not.contains(&"pram") && !also_not.contains(&"read-uncommitted"));
    }
}
