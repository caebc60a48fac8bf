//! Orders that are known from what operations answered: one sweep tells whether real time agrees.

/// An operation whose place in every legal order is known up to equals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub invoked: u32,
    pub completed: u32,
    /// Smaller levels come first.
    pub level: u64,
    /// The history's index.
    pub index: u32,
}

/// Two operations of which the first completed before the second was invoked, yet has the higher level.
/// If there are none, the order by level, and by real time within a level, is legal in real time: a cycle
/// would have to go down in level somewhere, and only real time could make it.
pub(crate) fn conflict(placed: &[Placed]) -> Option<(Placed, Placed)> {
    let mut by_start: Vec<&Placed> = placed.iter().collect();
    let mut by_end = by_start.clone();
    by_start.sort_unstable_by_key(|p| p.invoked);
    by_end.sort_unstable_by_key(|p| p.completed);
    let mut highest: Option<&Placed> = None;
    let mut ends = by_end.into_iter().peekable();
    for later in by_start {
        while let Some(earlier) = ends.next_if(|e| e.completed < later.invoked) {
            if highest.is_none_or(|h| h.level < earlier.level) {
                highest = Some(earlier);
            }
        }
        if let Some(earlier) = highest.filter(|h| h.level > later.level) {
            return Some((*earlier, *later));
        }
    }
    None
}
