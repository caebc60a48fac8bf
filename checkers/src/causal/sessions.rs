//! The four session guarantees (Terry et al., "Session Guarantees for Weakly Consistent Replicated Data",
//! PDIS 1994), over visibility: a read proves that it saw the write that it returns, and nothing more.
//!
//! What is visible to a session grows by the guarantees that are asked for: its own writes (read your
//! writes), what its earlier reads saw (monotonic reads), what the writer's session wrote before (monotonic
//! writes), what that had read before (writes follow reads). Of the visible writers of a key the one that is
//! read must be the last, in an order that each session may choose for itself but that follows monotonic
//! writes and writes follow reads where these are asked for.

use serde_json::Map;

use super::check::Prepared;
use super::columns::{INITIAL, Plain};
use crate::{Anomaly, Budget, Exhausted};

/// Which guarantees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarantees {
    /// Read your writes.
    pub own_writes: bool,
    /// Monotonic reads.
    pub reads: bool,
    /// Monotonic writes.
    pub writes: bool,
    /// Writes follow reads.
    pub causes: bool,
}

impl Guarantees {
    /// Those of a model.
    pub fn of(model: &str) -> Option<Self> {
        let none = Guarantees::default();
        Some(match model {
            "read-your-writes" => Guarantees { own_writes: true, ..none },
            "monotonic-reads" => Guarantees { reads: true, ..none },
            "monotonic-writes" => Guarantees { writes: true, ..none },
            "writes-follow-reads" => Guarantees { causes: true, ..none },
            "session-guarantees" => Guarantees { own_writes: true, reads: true, writes: true, causes: true },
            _ => return None,
        })
    }
}

struct Session<'a> {
    p: &'a Plain,
    wanted: Guarantees,
    // Positions of each session's transactions, in order.
    sessions: &'a [Vec<u32>],
}

/// Looks for a session that breaks the guarantees.
pub fn session_guarantees(
    prepared: &Prepared,
    check: &str,
    wanted: Guarantees,
    budget: &Budget,
) -> Result<Vec<Anomaly>, Exhausted> {
    let p = &prepared.plain;
    let mut anomalies = prepared.bad_reads(check);
    if !wanted.own_writes {
        anomalies.retain(|a| a.kind != "internal");
    }
    if prepared.serial {
        return Ok(anomalies);
    }
    let mut sessions = vec![Vec::new(); p.sessions as usize];
    for t in 0..p.len() as u32 {
        sessions[p.session[t as usize] as usize].push(t);
    }
    let session = Session { p, wanted, sessions: &sessions };
    for mine in &sessions {
        budget.spend(0)?;
        if let Some(found) = session.check(check, mine) {
            anomalies.push(found);
            if anomalies.len() >= 8 {
                break;
            }
        }
    }
    Ok(anomalies)
}

impl Session<'_> {
    fn check(&self, check: &str, mine: &[u32]) -> Option<Anomaly> {
        let p = self.p;
        // For every writer that became visible, which key it wrote last; edges (earlier, later, reader, key).
        let mut visible = Visible::new(self);
        let mut edges: Vec<(u32, u32, u32, u32)> = Vec::new();
        for (place, &t) in mine.iter().enumerate() {
            if !self.wanted.reads {
                visible = Visible::new(self);
            }
            if self.wanted.own_writes {
                mine[..place].iter().for_each(|&own| visible.add(own));
            }
            let reads = p.reads_of(t);
            reads.iter().filter(|r| r.from != INITIAL).for_each(|r| visible.add(r.from));
            for r in reads {
                for &w in visible.writers(r.key).iter().filter(|&&w| w != r.from && w != t) {
                    if r.from == INITIAL {
                        return Some(self.initial(check, w, t, r.key));
                    }
                    edges.push((w, r.from, t, r.key));
                }
            }
        }
        self.circle(check, &visible, edges)
    }

    fn circle(
        &self,
        check: &str,
        visible: &Visible<'_>,
        edges: Vec<(u32, u32, u32, u32)>,
    ) -> Option<Anomaly> {
        let p = self.p;
        let mut out: rustc_hash::FxHashMap<u32, Vec<u32>> = rustc_hash::FxHashMap::default();
        for &(a, b, ..) in &edges {
            out.entry(a).or_default().push(b);
        }
        self.own_order(visible, &mut out);
        let leads = |from: u32, to: u32| {
            let mut met = rustc_hash::FxHashSet::default();
            let mut todo = vec![from];
            while let Some(x) = todo.pop() {
                if x == to {
                    return true;
                }
                if met.insert(x) {
                    todo.extend(out.get(&x).into_iter().flatten());
                }
            }
            false
        };
        // A topological order exists, or some edge closes a circle.
        if acyclic(&out) {
            return None;
        }
        let Some(&(w, from, reader, key)) = edges.iter().find(|e| leads(e.1, e.0)) else {
            return self.future(check, &out);
        };
        let index = |t: u32| p.txns[t as usize].index;
        let name = p.keys.name(key);
        let value = |t: u32| p.value(t, key).unwrap_or_default();
        let text = format!(
            "#{} read {} from key {name}, which #{} wrote, although process {} had #{} in view, which wrote {}; \
             but #{} does not come before #{} in any order that explains the other reads.",
            index(reader),
            value(from),
            index(from),
            p.txns[reader as usize].process,
            index(w),
            value(w),
            index(w),
            index(from)
        );
        Some(self.anomaly(check, text, vec![w, from, reader]))
    }

    /// What is in view comes before itself, whoever reads it: somebody read what was written only later.
    fn future(&self, check: &str, out: &rustc_hash::FxHashMap<u32, Vec<u32>>) -> Option<Anomaly> {
        let p = self.p;
        let mut starts: Vec<u32> = out.keys().copied().filter(|&t| (t as usize) < p.len()).collect();
        starts.sort_unstable();
        let circle = starts.into_iter().find_map(|start| way_back(start, out))?;
        let mut txns: Vec<u32> = circle.iter().map(|&t| t % p.len() as u32).collect();
        txns.dedup();
        let names: Vec<String> = txns.iter().map(|&t| format!("#{}", p.txns[t as usize].index)).collect();
        let text = format!(
            "{} would each have to come before the next, and the last before the first: a read returned what was \
             written only after it.",
            names.join(", ")
        );
        Some(self.anomaly(check, text, txns))
    }

    /// The order that the guarantees themselves give to writes, of what is visible. Behind each transaction
    /// stands a helper (numbered beyond all transactions) for everything that its session had read by then.
    fn own_order(&self, visible: &Visible<'_>, out: &mut rustc_hash::FxHashMap<u32, Vec<u32>>) {
        let p = self.p;
        let helper = |t: u32| p.len() as u32 + t;
        let mut link = |from: u32, to: u32| out.entry(from).or_default().push(to);
        for (s, &upto) in visible.upto.iter().enumerate() {
            let (mut last_writer, mut before) = (None, None);
            for &t in &self.sessions[s][..upto as usize] {
                if self.wanted.causes {
                    p.reads_of(t).iter().filter(|r| r.from != INITIAL).for_each(|r| link(r.from, helper(t)));
                    if let Some(before) = before {
                        link(helper(before), helper(t));
                    }
                    link(helper(t), t);
                    before = Some(t);
                }
                if self.wanted.writes && !p.writes_of(t).is_empty() {
                    if let Some(last) = last_writer {
                        link(last, t);
                    }
                    last_writer = Some(t);
                }
            }
        }
    }

    fn initial(&self, check: &str, writer: u32, reader: u32, key: u32) -> Anomaly {
        let p = self.p;
        let index = |t: u32| p.txns[t as usize].index;
        let text = format!(
            "#{} read the initial value of key {}, although process {} had #{} in view, which wrote {}.",
            index(reader),
            p.keys.name(key),
            p.txns[reader as usize].process,
            index(writer),
            p.value(writer, key).unwrap_or_default()
        );
        self.anomaly(check, text, vec![writer, reader])
    }

    fn anomaly(&self, check: &str, text: String, txns: Vec<u32>) -> Anomaly {
        let kind = match self.wanted {
            Guarantees { own_writes: true, reads: false, writes: false, causes: false } => "read-your-writes",
            Guarantees { own_writes: false, reads: true, writes: false, causes: false } => "monotonic-reads",
            Guarantees { own_writes: false, reads: false, writes: true, causes: false } => "monotonic-writes",
            Guarantees { own_writes: false, reads: false, writes: false, causes: true } => {
                "writes-follow-reads"
            }
            _ => "session-guarantees",
        };
        let kind = format!("{kind}-violation");
        let mut operations: Vec<u32> = txns.iter().map(|&t| self.p.txns[t as usize].index).collect();
        operations.sort_unstable();
        operations.dedup();
        Anomaly {
            signature: format!("{check}/{kind}"),
            kind,
            explanation: text,
            operations,
            details: Map::new(),
        }
    }
}

/// The nodes of a shortest way from a node to itself.
fn way_back(start: u32, out: &rustc_hash::FxHashMap<u32, Vec<u32>>) -> Option<Vec<u32>> {
    let mut parent: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
    let mut todo = std::collections::VecDeque::from([start]);
    while let Some(node) = todo.pop_front() {
        for &next in out.get(&node).into_iter().flatten() {
            if next == start {
                let mut way = vec![node];
                while let Some(&before) = way.last().filter(|&&n| n != start).and_then(|n| parent.get(n)) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if let std::collections::hash_map::Entry::Vacant(slot) = parent.entry(next) {
                slot.insert(node);
                todo.push_back(next);
            }
        }
    }
    None
}

fn acyclic(out: &rustc_hash::FxHashMap<u32, Vec<u32>>) -> bool {
    let mut waits: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
    for (&from, targets) in out {
        waits.entry(from).or_default();
        targets.iter().for_each(|&to| *waits.entry(to).or_default() += 1);
    }
    let mut ready: Vec<u32> = waits.iter().filter(|&(_, &n)| n == 0).map(|(&t, _)| t).collect();
    let mut done = 0;
    while let Some(t) = ready.pop() {
        done += 1;
        for &to in out.get(&t).into_iter().flatten() {
            let left = waits.get_mut(&to).expect("every target was counted");
            *left -= 1;
            if *left == 0 {
                ready.push(to);
            }
        }
    }
    done == waits.len()
}

/// Writes that a session has in view, with everything that the guarantees add to them.
struct Visible<'a> {
    session: &'a Session<'a>,
    all: rustc_hash::FxHashSet<u32>,
    by_key: rustc_hash::FxHashMap<u32, Vec<u32>>,
    // Of each session: up to which place its earlier acts have been followed.
    upto: Vec<u32>,
}

impl<'a> Visible<'a> {
    fn new(session: &'a Session<'a>) -> Self {
        let upto = vec![0; session.sessions.len()];
        Visible { session, all: Default::default(), by_key: Default::default(), upto }
    }

    fn add(&mut self, t: u32) {
        let (p, wanted) = (self.session.p, self.session.wanted);
        let mut todo = vec![t];
        while let Some(t) = todo.pop() {
            if !self.all.insert(t) {
                continue;
            }
            for &key in p.writes_of(t) {
                self.by_key.entry(key).or_default().push(t);
            }
            let s = p.session[t as usize] as usize;
            let from = self.upto[s].min(p.place[t as usize]);
            self.upto[s] = self.upto[s].max(p.place[t as usize]);
            for &e in &self.session.sessions[s][from as usize..p.place[t as usize] as usize] {
                if wanted.writes && !p.writes_of(e).is_empty() {
                    todo.push(e);
                }
                if wanted.causes {
                    todo.extend(p.reads_of(e).iter().map(|r| r.from).filter(|&w| w != INITIAL));
                }
            }
        }
    }

    fn writers(&self, key: u32) -> &[u32] {
        self.by_key.get(&key).map_or(&[], Vec::as_slice)
    }
}
