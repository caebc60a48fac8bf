//! The cheapest algorithm that is complete for an object, by the shape of its operations.

use squall_history::{History, Value};

use super::split::Object;
use super::zones::{self, Broken, Zones};
use crate::models::Register;

/// What a fast algorithm says.
pub(crate) enum Fast {
    /// The shape is not one that it is complete for.
    NotThisShape,
    /// There is a legal order.
    Linearizable(&'static str),
    /// There is none, as these operations alone show.
    Broken(Suspects),
}

/// A few operations that have no legal order, whatever the others do.
pub(crate) struct Suspects {
    /// Which algorithm found them.
    pub algorithm: &'static str,
    /// What is wrong, in two or three words.
    pub shape: &'static str,
    /// One sentence.
    pub sentence: String,
    /// By history index, ascending.
    pub operations: Vec<u32>,
}

pub(crate) const ZONES: &str = "zones";

/// Registers: zones, where every write has its own value.
pub(crate) fn register(history: &History, object: &Object, model: &Register) -> Fast {
    let indexes = object.indexes(history);
    let broken = match zones::judge(history, indexes.clone(), &model.initial, model.nil_reads_unknown) {
        Zones::NotThisShape => return Fast::NotThisShape,
        Zones::Linearizable => return Fast::Linearizable(ZONES),
        Zones::Broken(broken) => broken,
    };
    let about = |values: &[&Value]| -> Vec<u32> {
        let seen = |op: &squall_history::Op<'_>| values.contains(&op.output) && op.f == "read";
        let written = |op: &squall_history::Op<'_>| values.contains(&op.input) && op.f == "write";
        let matches = |&i: &u32| {
            let op = history.op(i as usize);
            op.outcome != squall_history::Outcome::Fail && (seen(&op) || written(&op))
        };
        indexes.clone().filter(matches).collect()
    };
    let (shape, sentence, operations) = match broken {
        Broken::ThinAir { read } => {
            let value = history.op(read as usize).output;
            ("thin-air-read", format!("#{read} read {value}, which nobody wrote."), vec![read])
        }
        Broken::ReadBeforeWrite { read, write } => {
            let value = history.op(read as usize).output;
            let sentence =
                format!("#{read} read {value} and completed before #{write}, which wrote it, was invoked.");
            ("read-before-write", sentence, vec![read.min(write), read.max(write)])
        }
        Broken::Forward { a, b } => {
            let sentence = format!("At one moment the value must have been both {a} and {b}.");
            ("value-came-back", sentence, about(&[&a, &b]))
        }
        Broken::Backward { outer, inner } => {
            let sentence =
                format!("The value must have been {inner} at a moment when it can only have been {outer}.");
            ("stale-read", sentence, about(&[&outer, &inner]))
        }
    };
    Fast::Broken(Suspects { algorithm: ZONES, shape, sentence, operations })
}
