//! How long checkers take: the check apart from making its input.

use std::time::Instant;

use squall_checkers::bench::rows as inputs;
use squall_checkers::linear::check_model;
use squall_checkers::{Budget, Valid};

use super::Row;

/// Linearizability: two rows for each input, seconds of the check and operations a second. Inputs of more
/// than `operations_max` operations are left out.
pub(super) fn rows(operations_max: usize, mut each: impl FnMut(Row)) -> Result<(), String> {
    for input in inputs() {
        if input.operations as usize > operations_max {
            continue;
        }
        let history = (input.make)();
        let begun = Instant::now();
        let verdict = check_model(&history, &input.options, &Budget::default());
        let seconds = begun.elapsed().as_secs_f64();
        if verdict.valid == Valid::Unknown {
            return Err(format!("{}: {}", input.name, verdict.reason.unwrap_or_default()));
        }
        let name = format!("checkers/linearizable/{}", input.name);
        let algorithm = verdict.algorithm.unwrap_or_default();
        let note = Some(format!("{} operations, {algorithm}", history.len()));
        each(Row { reach: input.reach_seconds, note, ..Row::new(&name, seconds, "s") });
        each(Row::new(format!("{name}/rate"), history.len() as f64 / seconds, "operations/s"));
    }
    Ok(())
}
