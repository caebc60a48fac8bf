//! Operations, events, histories in memory, the run log, import and export
