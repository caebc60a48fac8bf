//! The command that does a run again.

use crate::campaign::{ALL, Cell, NONE, ProviderChoice, RunPlan, is_everything};
use squall_cluster::shell_word;
use squall_engine::units::format_duration;

/// One line for a shell.
pub(crate) fn command(plan: &RunPlan) -> String {
    let mut parts = vec!["squall run".to_owned()];
    let mut flag = |name: &str, value: String| parts.push(format!("--{name} {}", shell_word(&value)));
    flag("target", written(&plan.target));
    flag("workload", written(&judged(plan)));
    let faults = match plan.faults.as_slice() {
        [] => NONE.to_owned(),
        faults if is_everything(faults) => ALL.to_owned(),
        faults => faults.iter().map(written).collect::<Vec<_>>().join(","),
    };
    flag("faults", faults);
    if plan.provider != ProviderChoice::default() {
        flag("provider", plan.provider.to_string());
    }
    flag("nodes", plan.nodes.to_string());
    flag("concurrency", plan.workers.to_string());
    flag("rate", plan.rate.0.map_or("max".into(), |r| r.to_string()));
    flag("time-limit", format_duration(plan.time_limit));
    flag("op-timeout", format_duration(plan.op_timeout));
    flag("seed", plan.seed.to_string());
    parts.join(" ")
}

/// The workload with what it is judged by: that may have come from elsewhere in the campaign.
fn judged(plan: &RunPlan) -> Cell {
    let mut cell = plan.workload.clone();
    if plan.consistency != "linearizable" {
        if cell.options.is_null() {
            cell.options = serde_json::json!({});
        }
        cell.options["consistency"] = plan.consistency.clone().into();
    }
    cell
}

/// A cell as `--target` and its like read it: JSON is YAML.
fn written(cell: &Cell) -> String {
    if cell.options.is_null() {
        return cell.name.clone();
    }
    serde_json::json!({ &cell.name: cell.options }).to_string()
}
