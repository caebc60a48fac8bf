//! Faults, schedules and their evidence
