//! A model as the search sees it: states and operations are small numbers.

use rustc_hash::FxHashMap;

use crate::models::Model;

/// No state: the operation is impossible there.
pub(crate) const NONE: u32 = u32::MAX;

/// A sequential specification over numbered states and numbered classes of equal operations.
pub(crate) trait Spec {
    /// The state before the first operation.
    fn init(&mut self) -> u32;
    /// The state after an operation of `class`, or [`NONE`].
    fn step(&mut self, state: u32, class: u32) -> u32;
    /// Bytes held.
    fn held_bytes(&self) -> u64;
}

/// Numbers the states of any [`Model`] as they appear, and remembers every step.
pub(crate) struct Interned<'a, M: Model> {
    model: &'a M,
    classes: &'a [M::Op],
    states: Vec<M::State>,
    numbers: FxHashMap<M::State, u32>,
    steps: FxHashMap<(u32, u32), u32>,
    /// What all states hold behind pointers.
    heap_bytes: u64,
}

impl<'a, M: Model> Interned<'a, M> {
    pub(crate) fn new(model: &'a M, classes: &'a [M::Op]) -> Self {
        Interned {
            model,
            classes,
            states: Vec::new(),
            numbers: FxHashMap::default(),
            steps: FxHashMap::default(),
            heap_bytes: 0,
        }
    }

    pub(crate) fn state(&self, number: u32) -> &M::State {
        &self.states[number as usize]
    }

    pub(crate) fn number(&mut self, state: M::State) -> u32 {
        if let Some(&n) = self.numbers.get(&state) {
            return n;
        }
        let n = self.states.len() as u32;
        // Each state stands in both tables; an allocation costs something beside what is asked for.
        let heap = self.model.heap_bytes(&state) as u64;
        self.heap_bytes += 2 * (heap + if heap > 0 { 16 } else { 0 });
        self.states.push(state.clone());
        self.numbers.insert(state, n);
        n
    }
}

impl<M: Model> Spec for Interned<'_, M> {
    fn init(&mut self) -> u32 {
        let state = self.model.init();
        self.number(state)
    }

    fn step(&mut self, state: u32, class: u32) -> u32 {
        if let Some(&next) = self.steps.get(&(state, class)) {
            return next;
        }
        let next = self.model.step(&self.states[state as usize], &self.classes[class as usize]);
        let next = next.map_or(NONE, |s| self.number(s));
        self.steps.insert((state, class), next);
        next
    }

    fn held_bytes(&self) -> u64 {
        let state = std::mem::size_of::<M::State>() as u64;
        self.heap_bytes + self.states.len() as u64 * (3 * state + 16) + self.steps.len() as u64 * 24
    }
}
