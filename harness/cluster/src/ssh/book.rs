//! What a host was asked to run, and what became of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{broadcast, watch};

use super::link::Observer;
use super::wire::Ended;
use crate::{Error, Exit, ExitEvent, ProgramState};

/// Ends of programs that a slow listener may lag behind.
const EVENTS: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    index: usize,
    name: String,
    state: Mutex<State>,
    exits: broadcast::Sender<ExitEvent>,
}

#[derive(Debug, Default)]
struct State {
    processes: HashMap<u64, Process>,
    programs: BTreeMap<String, u64>,
    next: u64,
    paused: bool,
}

#[derive(Debug)]
struct Process {
    name: String,
    // Whether it is one of the node's programs, and not a command that runs to its end.
    listed: bool,
    expected: bool,
    exit: watch::Sender<Option<Exit>>,
}

impl Process {
    fn runs(&self) -> bool {
        self.exit.borrow().is_none()
    }
}

impl Book {
    pub fn new(index: usize, name: &str) -> Self {
        let (exits, _) = broadcast::channel(EVENTS);
        Book { index, name: name.to_owned(), state: Mutex::default(), exits }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a process that is about to start. Says its number, and where its end will be told.
    pub fn enter(&self, name: &str, listed: bool) -> Result<(u64, watch::Receiver<Option<Exit>>), Error> {
        let mut state = self.state();
        if state.paused {
            return Err(Error::Invalid(format!("{} is paused: nothing can start on it", self.name)));
        }
        let old = state.programs.get(name).copied().filter(|_| listed);
        if let Some(old) = old {
            if state.processes.get(&old).is_some_and(Process::runs) {
                return Err(Error::Invalid(format!("{name} runs on {} already", self.name)));
            }
            state.processes.remove(&old);
        }
        state.next += 1;
        let token = state.next;
        let (exit, ends) = watch::channel(None);
        state.processes.insert(token, Process { name: name.to_owned(), listed, expected: false, exit });
        if listed {
            state.programs.insert(name.to_owned(), token);
        }
        Ok((token, ends))
    }

    /// Forgets a process that did not start.
    pub fn forget(&self, token: u64) {
        let mut state = self.state();
        state.processes.remove(&token);
        state.programs.retain(|_, latest| *latest != token);
    }

    /// Notes that every program is to end. Says where their ends will be told.
    pub fn end_all(&self) -> Vec<watch::Receiver<Option<Exit>>> {
        let mut state = self.state();
        state.paused = false;
        let mut ends = Vec::new();
        for process in state.processes.values_mut().filter(|p| p.runs()) {
            process.expected = true;
            if process.listed {
                ends.push(process.exit.subscribe());
            }
        }
        ends
    }

    /// Notes that a program is to end. Says its number and where its end will be told.
    pub fn end(&self, program: &str) -> Result<(u64, watch::Receiver<Option<Exit>>), Error> {
        let mut state = self.state();
        let token = state.programs.get(program).copied();
        let process = token.and_then(|token| state.processes.get_mut(&token));
        let absent = || Error::Invalid(format!("{program} was never started on {}", self.name));
        let process = process.ok_or_else(absent)?;
        if process.runs() {
            process.expected = true;
        }
        Ok((token.unwrap_or_default(), process.exit.subscribe()))
    }

    pub fn set_paused(&self, paused: bool) {
        self.state().paused = paused;
    }

    pub fn program_state(&self, program: &str) -> ProgramState {
        let state = self.state();
        match state.programs.get(program).and_then(|token| state.processes.get(token)) {
            None => ProgramState::Absent,
            Some(process) => match *process.exit.borrow() {
                // Its number on another machine would mean nothing here.
                None => ProgramState::Running { pid: 0 },
                Some(exit) => ProgramState::Exited(exit),
            },
        }
    }

    /// A program that runs, if any does.
    pub fn running(&self) -> Option<String> {
        let state = self.state();
        state.processes.values().find(|p| p.listed && p.runs()).map(|p| p.name.clone())
    }

    /// Names of all programs that were ever started.
    pub fn programs(&self) -> Vec<String> {
        self.state().programs.keys().cloned().collect()
    }

    pub fn exits(&self) -> broadcast::Receiver<ExitEvent> {
        self.exits.subscribe()
    }
}

impl Observer for Book {
    fn ended(&self, ended: &Ended) {
        let mut state = self.state();
        let Some(process) = state.processes.get(&ended.token) else { return };
        process.exit.send_replace(Some(ended.exit));
        if process.listed {
            let event = ExitEvent {
                node: self.index,
                program: process.name.clone(),
                exit: ended.exit,
                at: Instant::now(),
                expected: process.expected,
            };
            // Nobody may be listening.
            let _ = self.exits.send(event);
        } else {
            state.processes.remove(&ended.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_there_once_and_its_end_is_told() {
        let book = Book::new(0, "n1");
        assert_eq!(book.program_state("p"), ProgramState::Absent);
        let (token, ends) = book.enter("p", true).unwrap();
        assert!(book.enter("p", true).is_err());
        let mut exits = book.exits();
        book.ended(&Ended { token, exit: Exit::Code(3) });
        assert_eq!(*ends.borrow(), Some(Exit::Code(3)));
        assert_eq!(book.program_state("p"), ProgramState::Exited(Exit::Code(3)));
        assert!(!exits.try_recv().unwrap().expected);
        let (token, _) = book.enter("p", true).unwrap();
        assert_eq!(book.running().as_deref(), Some("p"));
        assert_eq!(book.end_all().len(), 1);
        book.ended(&Ended { token, exit: Exit::Signal(9) });
        assert!(exits.try_recv().unwrap().expected);
        book.set_paused(true);
        assert!(book.enter("p", true).is_err());
    }
}
