//! A run's log and verdicts, folded into pages, plots and documents
