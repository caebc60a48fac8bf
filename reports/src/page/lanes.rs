//! What stands above the rows of an anomaly's picture: who led, and which faults were on.

use std::fmt::Write;

use squall_checkers::run::Window;

use super::run::{Run, fault_name};
use crate::plot::{LEFT, Scale, escape};
use crate::text::{at, clip};

/// Top of the first lane of faults, and the height of each.
const TOP: usize = 22;
const LANE: usize = 19;
/// Lanes; faults beyond them share the last.
const LANES: usize = 5;
/// Pixels of a character of a label, about.
const CHARACTER: f64 = 6.5;

/// The faults of a picture, those that overlap in lanes of their own.
pub struct Faults<'a> {
    placed: Vec<(Window<'a>, usize)>,
    lanes: usize,
}

impl<'a> Faults<'a> {
    /// Those that were on in the time of a picture.
    pub fn new(run: &Run<'a>, scale: &Scale) -> Self {
        let mut free: Vec<u64> = Vec::new();
        let mut placed = Vec::new();
        for w in run.windows.iter().filter(|w| w.overlaps(scale.from, scale.to)) {
            let lane = free.iter().position(|until| *until <= w.from()).unwrap_or_else(|| {
                if free.len() < LANES {
                    free.push(0);
                }
                free.len() - 1
            });
            free[lane] = free[lane].max(w.to());
            placed.push((*w, lane));
        }
        Faults { placed, lanes: free.len().max(1) }
    }

    /// Where the rows of operations begin.
    pub fn bottom(&self) -> usize {
        TOP + self.lanes * LANE + 3
    }

    /// Draws a line with a name in each fault's lane, and its band behind the whole picture.
    pub fn draw(&self, run: &Run<'_>, scale: &Scale, height: usize, svg: &mut String) {
        lane_name("faults", TOP + 12, svg);
        for (w, lane) in &self.placed {
            let (x, right, top) = (scale.x(w.from()), scale.x(w.to()), TOP + lane * LANE);
            let (name, colour, width) = (fault_name(w), run.colour(&w.begin.kind), (right - x).max(1.0));
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\" fill-opacity=\"0.1\"><title>{} ({}–{})</title></rect>\
                 <rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"3\" fill=\"{colour}\"/>",
                height - top,
                escape(&name),
                at(w.from()),
                at(w.to().min(run.span.1))
            );
            let room = ((width - 8.0) / CHARACTER).max(0.0) as usize;
            if room >= 4 {
                let label = escape(&clip(&name, room));
                let _ = write!(
                    svg,
                    "<text class=\"lane-soft\" x=\"{:.1}\" y=\"{}\">{label}</text>",
                    x + 5.0,
                    top + 15
                );
            }
        }
    }
}

/// Draws who led, above everything.
pub fn leaders(run: &Run<'_>, scale: &Scale, svg: &mut String) {
    if run.reigns.is_empty() {
        return;
    }
    lane_name("leader", 14, svg);
    for (i, reign) in run.reigns.iter().enumerate() {
        let to = run.reigns.get(i + 1).map_or(u64::MAX, |next| next.from);
        if to <= scale.from || reign.from >= scale.to {
            continue;
        }
        let (x, right) = (scale.x(reign.from), scale.x(to));
        let name = run.leader_name(reign.from);
        let _ = write!(
            svg,
            "<rect class=\"lead\" x=\"{x:.1}\" y=\"15\" width=\"{:.1}\" height=\"3\" rx=\"1.5\"><title>leader: {}</title></rect>",
            (right - x - 1.0).max(1.0),
            escape(&name)
        );
        let room = ((right - x - 4.0) / CHARACTER).max(0.0) as usize;
        if room >= 4 {
            let _ = write!(
                svg,
                "<text class=\"lane-soft\" x=\"{:.1}\" y=\"11\">{}</text>",
                x + 2.0,
                escape(&clip(&name, room))
            );
        }
    }
}

fn lane_name(name: &str, y: usize, svg: &mut String) {
    let _ = write!(
        svg,
        "<text class=\"lane-soft\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{name}</text>",
        LEFT - 8
    );
}

#[cfg(test)]
mod tests {
    use squall_history::{Fault, FaultPhase, History};

    use super::*;
    use crate::{Facts, run_result};

    #[test]
    fn faults_that_overlap_have_lanes_of_their_own() {
        let fault = |id, time, phase| Fault {
            time,
            phase,
            id,
            kind: "kill".into(),
            nodes: vec![],
            description: String::new(),
            detail: serde_json::Value::Null,
            effective: None,
            evidence: Default::default(),
        };
        let (begin, end) = (FaultPhase::Begin, FaultPhase::End);
        let mut history = History::default();
        history.faults = vec![
            fault(0, 10, begin),
            fault(1, 20, begin),
            fault(0, 30, end),
            fault(2, 30, begin),
            fault(1, 90, end),
        ];
        let result = run_result(&history, &[], &Facts::default());
        let facts = Facts::default();
        let run = Run::new(&history, &[], &result, &facts);
        let lanes = |from, to| {
            let faults = Faults::new(&run, &Scale::new(from, to));
            faults.placed.iter().map(|(w, lane)| (w.begin.id, *lane)).collect::<Vec<_>>()
        };
        assert_eq!(lanes(0, 100), [(0, 0), (1, 1), (2, 0)]);
        assert_eq!(lanes(95, 100), [(2, 0)]);
    }
}
