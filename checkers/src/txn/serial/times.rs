//! Within which time each transaction has to be placed.

use squall_history::NEVER;

use crate::causal::columns::Plain;

/// Beginnings and ends, all different.
#[derive(Clone, Debug)]
pub struct Times {
    /// Not before this.
    pub begin: Vec<u32>,
    /// Not after this; `u32::MAX` for whenever.
    pub end: Vec<u32>,
}

impl Times {
    /// From invocation to completion, and before the session goes on. Where a history knows no times, but was
    /// written down as it happened, that is near the truth; where it was not, there will be no order.
    pub fn new(p: &Plain) -> Self {
        let double = |rank: u32| if rank == NEVER { u32::MAX } else { 2 * rank };
        let begin: Vec<u32> = p.txns.iter().map(|t| 2 * t.invoked + 1).collect();
        let mut end: Vec<u32> = p.txns.iter().map(|t| double(t.completed)).collect();
        let mut next = vec![u32::MAX; p.sessions as usize];
        for t in (0..p.len()).rev() {
            let after = &mut next[p.session[t] as usize];
            end[t] = end[t].min(*after);
            *after = begin[t] - 1;
        }
        Times { begin, end }
    }

    /// Whether an order keeps them.
    pub fn are_kept(&self, order: &[u32]) -> bool {
        let mut latest = 0;
        order.iter().all(|&t| {
            latest = latest.max(self.begin[t as usize]);
            self.end[t as usize] > latest
        })
    }

    /// Transactions by beginnings and ends, in order: twice the transaction, and one more if it ends.
    pub fn events(&self) -> Vec<u32> {
        let known = |t: &&u32| **t != u32::MAX;
        let latest = self.begin.iter().chain(&self.end).filter(known).max().map_or(0, |&l| l as usize + 1);
        let mut at = vec![u32::MAX; latest];
        for (t, (&begin, &end)) in self.begin.iter().zip(&self.end).enumerate() {
            at[begin as usize] = 2 * t as u32;
            if end != u32::MAX {
                at[end as usize] = 2 * t as u32 + 1;
            }
        }
        at.retain(|&event| event != u32::MAX);
        at
    }
}
