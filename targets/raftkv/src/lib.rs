//! A replicated key-value store on Raft: a pure core, a log on disk, a server
