//! Answers as people and as programs read them.

use serde_json::{Value, json};

use crate::client::{Cas, ClientError, Deleted, Found, Hash, Locked, Members, Range, Status, TxnAnswer};

/// What standard output gets, and whether the answer is yes.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub text: String,
    pub json: Value,
    pub yes: bool,
}

/// What each endpoint answered.
pub type Answers<'a, T> = Vec<(&'a str, Result<T, ClientError>)>;

fn shown(text: String, json: Value, yes: bool) -> Shown {
    Shown { text, json, yes }
}

/// Everything was printed already.
pub fn nothing() -> Shown {
    shown(String::new(), Value::String(String::new()), true)
}

pub fn found(found: Found) -> Shown {
    shown(found.value.to_string(), json!(found), found.version != 0)
}

pub fn version(version: u64) -> Shown {
    shown(format!("version {version}"), json!({ "version": version }), true)
}

pub fn cas(cas: Cas) -> Shown {
    let actual = cas.actual.clone().unwrap_or(Value::Null);
    let text = if cas.ok { format!("version {}", cas.version) } else { format!("mismatch: {actual}") };
    let json = if cas.ok {
        json!({"ok": true, "version": cas.version})
    } else {
        json!({"ok": false, "actual": actual, "version": cas.version})
    };
    shown(text, json, cas.ok)
}

pub fn deleted(deleted: Deleted) -> Shown {
    let text = if deleted.existed { "deleted" } else { "was absent" };
    shown(text.into(), json!(deleted), deleted.existed)
}

pub fn range(range: Range) -> Shown {
    let mut text: String =
        range.items.iter().map(|i| format!("{} {} {}\n", i.version, i.key, i.value)).collect();
    if range.more {
        text += "there are more: --limit\n";
    }
    shown(text, json!(range), true)
}

pub fn txn(answer: TxnAnswer) -> Shown {
    let mut text = if answer.succeeded { "succeeded\n" } else { "guards did not hold\n" }.to_owned();
    for result in &answer.results {
        text += &format!("{result}\n");
    }
    shown(text, json!(answer), answer.succeeded)
}

pub fn lease(lease: u64) -> Shown {
    shown(format!("lease {lease}"), json!({ "lease": lease }), true)
}

pub fn happened(name: &str, yes: bool) -> Shown {
    shown(if yes { "done" } else { "there was none" }.into(), json!({ name: yes }), yes)
}

pub fn locked(locked: Locked) -> Shown {
    let text = match locked.lease {
        Some(lease) if !locked.ok => format!("held by lease {lease} with token {}", locked.token),
        _ => format!("token {}", locked.token),
    };
    shown(text, json!(locked), locked.ok)
}

pub fn text(text: String) -> Shown {
    shown(text.clone(), Value::String(text), true)
}

pub fn members(members: Members) -> Shown {
    shown(member_lines(&members.voters, &members.learners), json!(members), true)
}

pub fn members_of(status: &Status) -> Shown {
    let json = json!({"voters": status.members, "learners": status.learners, "leader": status.leader});
    shown(member_lines(&status.members, &status.learners), json, true)
}

fn member_lines(voters: &[String], learners: &[String]) -> String {
    let voters = voters.iter().map(|id| format!("{id} voter\n"));
    voters.chain(learners.iter().map(|id| format!("{id} learner\n"))).collect()
}

pub fn leader(status: &Status) -> Shown {
    let leader = status.leader.as_deref().unwrap_or("none");
    let json = json!({"leader": status.leader, "term": status.term});
    shown(format!("{leader} leads in term {}", status.term), json, true)
}

pub fn compacted(complete_after: u64) -> Shown {
    let text = format!("watches are complete after {complete_after}");
    shown(text, json!({ "complete_after": complete_after }), true)
}

/// One line an endpoint; no if one of them did not answer.
pub fn statuses(answers: Answers<'_, Status>) -> Shown {
    let yes = answers.iter().all(|(_, answer)| answer.is_ok());
    let (mut text, mut json) = (String::new(), Vec::new());
    for (endpoint, answer) in answers {
        match answer {
            Ok(s) => {
                text += &format!(
                    "{endpoint} {} {} term={} commit={} applied={} keys={}\n",
                    s.id, s.role, s.term, s.commit, s.applied, s.keys
                );
                json.push(json!({"endpoint": endpoint, "status": s}));
            }
            Err(e) => {
                text += &format!("{endpoint} {e}\n");
                json.push(json!({"endpoint": endpoint, "error": e.to_string()}));
            }
        }
    }
    shown(text, Value::Array(json), yes)
}

/// One line an endpoint; no if two that have applied the same differ, or one did not answer.
pub fn hashes(answers: Answers<'_, Hash>) -> Shown {
    let mut yes = answers.iter().all(|(_, answer)| answer.is_ok());
    let known: Vec<&Hash> = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).collect();
    yes &= known.iter().all(|a| known.iter().all(|b| a.applied != b.applied || a.hash == b.hash));
    let (mut text, mut json) = (String::new(), Vec::new());
    for (endpoint, answer) in &answers {
        match answer {
            Ok(h) => {
                text += &format!("{endpoint} applied={} hash={}\n", h.applied, h.hash);
                json.push(json!({"endpoint": endpoint, "applied": h.applied, "hash": h.hash}));
            }
            Err(e) => {
                text += &format!("{endpoint} {e}\n");
                json.push(json!({"endpoint": endpoint, "error": e.to_string()}));
            }
        }
    }
    shown(text, Value::Array(json), yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_applied_the_same_and_differ_are_a_no() {
        let hash = |applied, hash: &str| Ok(Hash { applied, hash: hash.into() });
        assert!(hashes(vec![("a", hash(5, "x")), ("b", hash(5, "x"))]).yes);
        assert!(hashes(vec![("a", hash(5, "x")), ("b", hash(6, "y"))]).yes);
        assert!(!hashes(vec![("a", hash(5, "x")), ("b", hash(5, "y"))]).yes);
    }
}
