//! The protocols, generators, scheduler, recorder and the life of a run
