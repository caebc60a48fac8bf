//! Fixed timelines and triggers, as a campaign writes them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use squall_engine::protocol::Fault;
use squall_engine::units;
use squall_nemesis::{Event, Step, When};

use super::Cell;
use super::complaint::Complaint;
use super::decode::set_of_faults;
use super::everything::ALL;
use super::fields::{Fields, duration, list, positive_duration, text, whole};
use super::tree::{Node, Tree};

/// One step of a schedule: `{at: 5s, fault: kill, for: 3s}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// So long after the beginning of the main phase.
    #[serde(default, with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// And then every so often.
    #[serde(default, with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// After an event instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What acts, together.
    pub faults: Vec<Cell>,
    /// For how long.
    #[serde(rename = "for", with = "units::duration")]
    pub lasts: Duration,
    /// How often, after an event.
    #[serde(default = "once")]
    pub times: u32,
    /// What would be drawn otherwise, such as `nodes`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub plan: Map<String, Json>,
    /// Whom it strikes, instead of those at whom its faults are aimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Whom>,
}

/// Whom a step can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// The node in whose log the text was that it waited for.
    Writer,
}

fn once() -> u32 {
    1
}

/// An event, and how long after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// What is waited for.
    #[serde(flatten)]
    pub event: Trigger,
    /// How long after it.
    #[serde(with = "units::duration")]
    pub delay: Duration,
}

/// What a step can wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `{event: leader-change}`.
    Event(Named),
    /// `{ok_operations: 1000}`.
    OkOperations(u64),
    /// `{log: "text"}`.
    Log(String),
}

/// Events that have a name only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// Another node leads, or the same one anew.
    LeaderChange,
}

impl StepPlan {
    pub(crate) fn decode(node: &Node) -> Result<StepPlan, Complaint> {
        let mut fields = Fields::of(node, "a step such as `{at: 5s, fault: kill, for: 3s}`")?;
        let at = fields.get("at").map(duration).transpose()?;
        let after = fields.get("after").map(After::decode).transpose()?;
        let Some(fault) = fields.get("fault") else {
            return Err(node.complain("a step needs a `fault`"));
        };
        let faults = list(fault, Cell::decode)?;
        let faults = set_of_faults(faults).map_err(|text| fault.complain(text))?;
        if faults.is_empty() {
            return Err(fault.complain("`none` is no step"));
        } else if faults.iter().any(|f| f.name == ALL) {
            return Err(fault.complain("`all` is no step: a step names its faults"));
        }
        let lasts = fields.get("for").map(positive_duration).transpose()?;
        let times = fields.get("times");
        let every = fields.get("every");
        let on = fields.get("on");
        let plan = fields.get("plan");
        fields.finish()?;
        let Some(lasts) = lasts else {
            return Err(node.complain("a step says for how long: `for: 3s`"));
        };
        match (&at, &after) {
            (Some(_), Some(_)) => return Err(node.complain("a step begins `at` a time or `after` an event")),
            (None, None) => {
                return Err(node.complain("a step says when it begins: `at: 5s`, or `after` an event"));
            }
            (Some(_), None) if times.is_some() => {
                return Err(node.complain("only a step that waits for an event has `times`"));
            }
            _ => {}
        }
        let on = on.map(|node| Whom::decode(node, after.as_ref())).transpose()?;
        if let (Some(every), None) = (every, &at) {
            return Err(every.complain("only a step that begins `at` a time comes back `every` so often"));
        }
        let every = every.map(positive_duration).transpose()?;
        let times = times.map_or(Ok(1), |n| whole(n, 1, 1000))? as u32;
        let plan = match plan.map(|n| (n, n.to_json())) {
            None => Map::new(),
            Some((_, Json::Object(plan))) if faults.len() == 1 => plan,
            Some((n, Json::Object(_))) => return Err(n.complain("`plan` is for a step with one fault")),
            Some((n, _)) => return Err(n.complain(format!("expected a map, found {}", n.kind()))),
        };
        Ok(StepPlan { at, every, after, faults, lasts, times, plan, on })
    }

    /// The step, with its faults made.
    pub(crate) fn build(
        &self,
        make: &dyn Fn(&Cell) -> anyhow::Result<Arc<dyn Fault>>,
    ) -> anyhow::Result<Step> {
        let faults = self.faults.iter().map(make);
        let when = match &self.after {
            None => When::At(self.at.unwrap_or_default(), self.every),
            Some(after) => When::After(after.event(), after.delay),
        };
        Ok(Step {
            when,
            faults: faults.collect::<Result<_, _>>()?,
            lasts: self.lasts,
            times: self.times,
            plan: self.plan.clone(),
            on_writer: self.on == Some(Whom::Writer),
        })
    }
}

impl Whom {
    fn decode(node: &Node, after: Option<&After>) -> Result<Whom, Complaint> {
        let waits_for_a_log = after.is_some_and(|a| matches!(a.event, Trigger::Log(_)));
        match &node.tree {
            Tree::Text(name) if name == "writer" && waits_for_a_log => Ok(Whom::Writer),
            Tree::Text(name) if name == "writer" => {
                Err(node.complain("`on: writer` is for a step that waits for a text in a `log`"))
            }
            _ => Err(node.complain(format!("expected `writer`, found {}", node.kind()))),
        }
    }
}

impl After {
    fn decode(node: &Node) -> Result<After, Complaint> {
        let mut fields = Fields::of(node, "an event such as `{event: leader-change, delay: 500ms}`")?;
        let event = fields.get("event");
        let ok = fields.get("ok_operations").map(|n| whole(n, 1, u64::MAX)).transpose()?;
        let log = fields.get("log").map(text).transpose()?;
        let delay = fields.get("delay").map(duration).transpose()?.unwrap_or_default();
        fields.finish()?;
        let event = match event {
            None => None,
            Some(Node { tree: Tree::Text(name), .. }) if name == "leader-change" => {
                Some(Trigger::Event(Named::LeaderChange))
            }
            Some(other) => {
                return Err(other.complain(format!("{} is no event; there is: leader-change", other.kind())));
            }
        };
        let given: Vec<Trigger> =
            [event, ok.map(Trigger::OkOperations), log.map(Trigger::Log)].into_iter().flatten().collect();
        match <[Trigger; 1]>::try_from(given) {
            Ok([event]) => Ok(After { event, delay }),
            Err(_) => Err(node.complain("a step waits for one of `event`, `ok_operations` and `log`")),
        }
    }

    fn event(&self) -> Event {
        match &self.event {
            Trigger::Event(Named::LeaderChange) => Event::LeaderChange,
            Trigger::OkOperations(count) => Event::OkOperations(*count),
            Trigger::Log(text) => Event::Log(text.clone()),
        }
    }
}
