//! The command line of `ctl`.

use serde_json::Value;

use crate::client::{Consistency, RangeQuery};

/// What there is, and what exit codes mean.
pub const USAGE: &str = "\
squall raftkv ctl --endpoints HOST:PORT,... [--timeout 5s] [--format json] COMMAND

  get KEY                         put KEY VALUE          cas KEY EXPECTED VALUE
  delete KEY                      append KEY ITEM        add KEY AMOUNT
  range [--prefix P | --start A --end B] [--limit N]
  txn JSON                        {\"guards\": [...], \"then\": [...], \"else\": [...]}; - reads standard input
  lease grant TTL_MS              lease keepalive ID     lease revoke ID
  lock acquire NAME LEASE         lock release NAME TOKEN
  watch [--prefix P] [--after N] [--events N]
  status                          hash                   metrics
  members list                    members add ID HOST:PORT
  members promote ID              members remove ID      leader transfer ID
  compact THROUGH

  get and range take --consistency linearizable|lease|local|session [--token N]
  values are JSON; null stands for absence; --string takes them as plain text
  status and hash ask every endpoint, members and leader the one that leads, all else the first that answers

  exit codes: 0 done; 1 the answer is no (absent, mismatch, guards failed, lock held, hashes differ);
  2 not known whether it happened; 254 bad arguments; 255 refused or unreachable, nothing was done";

/// Flags of every command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub endpoints: Vec<String>,
    pub json: bool,
    pub timeout_millis: u64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Get {
        key: String,
        consistency: Consistency,
    },
    Put {
        key: String,
        value: Value,
    },
    Cas {
        key: String,
        expected: Value,
        value: Value,
    },
    Delete {
        key: String,
    },
    Range {
        query: RangeQuery,
        consistency: Consistency,
    },
    Txn {
        body: String,
    },
    Append {
        key: String,
        item: Value,
    },
    Add {
        key: String,
        amount: i64,
    },
    Grant {
        ttl_millis: u64,
    },
    KeepAlive {
        lease: u64,
    },
    Revoke {
        lease: u64,
    },
    Lock {
        name: String,
        lease: u64,
    },
    Unlock {
        name: String,
        token: u64,
    },
    /// Until so many events were seen; 0: for ever.
    Watch {
        prefix: String,
        after: u64,
        events: u64,
    },
    Status,
    Hash,
    Metrics,
    Members,
    AddMember {
        id: String,
        address: String,
    },
    Promote {
        id: String,
    },
    RemoveMember {
        id: String,
    },
    Transfer {
        id: String,
    },
    Compact {
        through: u64,
    },
}

impl Action {
    /// Whether an unclear outcome leaves something unclear.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Action::Get { .. }
                | Action::Range { .. }
                | Action::Watch { .. }
                | Action::Status
                | Action::Hash
                | Action::Metrics
                | Action::Members
        )
    }
}

/// Words and `--name value` pairs, each name at most once.
#[derive(Debug)]
pub struct Words {
    plain: std::collections::VecDeque<String>,
    flags: Vec<(String, String)>,
    wrong: Option<String>,
}

const FLAGS: [&str; 11] = [
    "--endpoints",
    "--format",
    "--timeout",
    "--consistency",
    "--token",
    "--prefix",
    "--start",
    "--end",
    "--limit",
    "--after",
    "--events",
];

impl Words {
    pub fn new(args: impl IntoIterator<Item = String>) -> Words {
        let mut words = Words { plain: Default::default(), flags: Vec::new(), wrong: None };
        let mut args = args.into_iter();
        let mut only_plain = false;
        while let Some(word) = args.next() {
            // A lone dash and negative numbers are values.
            if only_plain || !word.starts_with("--") {
                words.plain.push_back(word);
                continue;
            }
            if word == "--" {
                only_plain = true;
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let value = match inline {
                _ if name == "--string" => Some(String::new()),
                Some(value) => Some(value),
                None => args.next(),
            };
            let known = name == "--string" || FLAGS.contains(&name.as_str());
            match value {
                _ if !known => {
                    words.wrong = Some(format!("unknown argument {name:?}; `ctl --help` lists them"))
                }
                None => words.wrong = Some(format!("{name} needs a value")),
                Some(_) if words.flags.iter().any(|(n, _)| *n == name) => {
                    words.wrong = Some(format!("{name} is given twice"));
                }
                Some(value) => words.flags.push((name, value)),
            }
        }
        words
    }

    fn flag(&mut self, name: &str) -> Option<String> {
        let at = self.flags.iter().position(|(n, _)| n == name)?;
        Some(self.flags.swap_remove(at).1)
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.flag(name).map(|text| number(&text, name)).transpose()
    }

    fn next(&mut self, what: &str) -> Result<String, String> {
        self.plain.pop_front().ok_or_else(|| format!("{what} is missing"))
    }

    fn next_number(&mut self, what: &str) -> Result<u64, String> {
        number(&self.next(what)?, what)
    }
}

fn number(text: &str, what: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{what}: {text:?} is not a number"))
}

impl Options {
    /// The flags and the one command.
    pub fn parse(mut words: Words) -> Result<(Options, Action), String> {
        if let Some(why) = words.wrong.take() {
            return Err(why);
        }
        let endpoints = words.flag("--endpoints").ok_or("--endpoints HOST:PORT,... is missing")?;
        let endpoints: Vec<String> = endpoints.split(',').map(str::to_owned).collect();
        for endpoint in &endpoints {
            let port = endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.ok_or_else(|| format!("--endpoints: {endpoint:?} is not HOST:PORT"))?;
        }
        let json = match words.flag("--format").as_deref() {
            None | Some("human") => false,
            Some("json") => true,
            Some(other) => return Err(format!("--format is human or json, not {other:?}")),
        };
        let timeout_millis = match words.flag("--timeout") {
            None => 5000,
            Some(text) => millis(&text)?,
        };
        let action = action(&mut words)?;
        if let Some(extra) = words.plain.front() {
            return Err(format!("{extra:?} is too much; `ctl --help` shows each command"));
        }
        if let Some((name, _)) = words.flags.first() {
            return Err(format!("{name} does not go with this command"));
        }
        Ok((Options { endpoints, json, timeout_millis }, action))
    }
}

fn millis(text: &str) -> Result<u64, String> {
    let bad = || format!("--timeout: {text:?} is not a duration such as 500ms or 5s");
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').ok_or_else(bad)?, 1000),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|&ms| ms > 0).ok_or_else(bad)
}

fn action(words: &mut Words) -> Result<Action, String> {
    let name = words.next("a command")?;
    let sub = match name.as_str() {
        "lease" | "lock" | "members" | "leader" => words.next(&format!("what to do with {name}"))?,
        _ => String::new(),
    };
    Ok(match (name.as_str(), sub.as_str()) {
        ("get", _) => Action::Get { key: words.next("KEY")?, consistency: consistency(words)? },
        ("put", _) => Action::Put { key: words.next("KEY")?, value: one_value(words, "VALUE")? },
        ("cas", _) => {
            let key = words.next("KEY")?;
            let (expected, value) = (words.next("EXPECTED")?, words.next("VALUE")?);
            let plain = words.flag("--string").is_some();
            Action::Cas { key, expected: value_of(expected, plain)?, value: value_of(value, plain)? }
        }
        ("delete", _) => Action::Delete { key: words.next("KEY")? },
        ("range", _) => Action::Range { query: range(words)?, consistency: consistency(words)? },
        ("txn", _) => Action::Txn { body: words.next("the transaction")? },
        ("append", _) => Action::Append { key: words.next("KEY")?, item: one_value(words, "ITEM")? },
        ("add", _) => {
            let (key, amount) = (words.next("KEY")?, words.next("AMOUNT")?);
            let amount = amount.parse().map_err(|_| format!("AMOUNT: {amount:?} is not a number"))?;
            Action::Add { key, amount }
        }
        ("lease", "grant") => Action::Grant { ttl_millis: words.next_number("TTL_MS")? },
        ("lease", "keepalive") => Action::KeepAlive { lease: words.next_number("ID")? },
        ("lease", "revoke") => Action::Revoke { lease: words.next_number("ID")? },
        ("lock", "acquire") => Action::Lock { name: words.next("NAME")?, lease: words.next_number("LEASE")? },
        ("lock", "release") => {
            Action::Unlock { name: words.next("NAME")?, token: words.next_number("TOKEN")? }
        }
        ("watch", _) => Action::Watch {
            prefix: words.flag("--prefix").unwrap_or_default(),
            after: words.number("--after")?.unwrap_or(0),
            events: words.number("--events")?.unwrap_or(0),
        },
        ("status", _) => Action::Status,
        ("hash", _) => Action::Hash,
        ("metrics", _) => Action::Metrics,
        ("members", "list") => Action::Members,
        ("members", "add") => Action::AddMember { id: words.next("ID")?, address: words.next("HOST:PORT")? },
        ("members", "promote") => Action::Promote { id: words.next("ID")? },
        ("members", "remove") => Action::RemoveMember { id: words.next("ID")? },
        ("leader", "transfer") => Action::Transfer { id: words.next("ID")? },
        ("compact", _) => Action::Compact { through: words.next_number("THROUGH")? },
        ("lease" | "lock" | "members" | "leader", sub) => {
            return Err(format!("{name} {sub:?} is unknown; `ctl --help` lists what there is"));
        }
        _ => return Err(format!("unknown command {name:?}; `ctl --help` lists them")),
    })
}

fn consistency(words: &mut Words) -> Result<Consistency, String> {
    let token = words.number("--token")?;
    match (words.flag("--consistency").as_deref(), token) {
        (None | Some("linearizable"), None) => Ok(Consistency::Linearizable),
        (Some("lease"), None) => Ok(Consistency::Lease),
        (Some("local"), None) => Ok(Consistency::Local),
        (Some("session"), Some(token)) => Ok(Consistency::Session { token }),
        (Some("session"), None) => Err("--consistency session needs --token N".into()),
        (Some(other), None) => Err(format!("unknown consistency {other:?}")),
        (_, Some(_)) => Err("--token goes with --consistency session".into()),
    }
}

fn range(words: &mut Words) -> Result<RangeQuery, String> {
    let limit = words.number("--limit")?;
    let (start, end) = (words.flag("--start"), words.flag("--end"));
    let Some(prefix) = words.flag("--prefix") else {
        return Ok(RangeQuery { start: start.unwrap_or_default(), end, limit });
    };
    if start.is_some() || end.is_some() {
        return Err("--prefix stands in place of --start and --end".into());
    }
    Ok(RangeQuery { end: after_prefix(&prefix), start: prefix, limit })
}

/// The first text that is greater than everything with this prefix; `None` if there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn one_value(words: &mut Words, what: &str) -> Result<Value, String> {
    let text = words.next(what)?;
    let plain = words.flag("--string").is_some();
    value_of(text, plain)
}

fn value_of(text: String, plain: bool) -> Result<Value, String> {
    if plain {
        return Ok(Value::String(text));
    }
    serde_json::from_str(&text)
        .map_err(|e| format!("{text:?} is not JSON ({e}); --string takes it as plain text"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Action, String> {
        let words = text.split_whitespace().map(Into::into);
        let all = ["--endpoints".to_owned(), "10.0.0.1:7000".to_owned()].into_iter().chain(words);
        Options::parse(Words::new(all)).map(|(_, action)| action)
    }

    #[test]
    fn reads_commands() {
        let put = Action::Put { key: "k".into(), value: json!({"a": 1}) };
        assert_eq!(parse(r#"put k {"a":1}"#), Ok(put));
        assert_eq!(parse("put k --string a"), Ok(Action::Put { key: "k".into(), value: json!("a") }));
        assert_eq!(parse("add k -5"), Ok(Action::Add { key: "k".into(), amount: -5 }));
        assert_eq!(
            parse("get -- --odd"),
            Ok(Action::Get { key: "--odd".into(), consistency: Consistency::Linearizable })
        );
        let query = RangeQuery { start: "a".into(), end: Some("b".into()), limit: Some(3) };
        assert_eq!(
            parse("range --prefix=a --limit 3"),
            Ok(Action::Range { query, consistency: Consistency::Linearizable })
        );
        assert_eq!(after_prefix("\u{d7ff}"), Some("\u{e000}".into()));
        assert_eq!(after_prefix("a\u{10ffff}"), Some("b".into()));
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "a command is missing"),
            ("put k", "VALUE is missing"),
            ("put k nonsense", "not JSON"),
            ("get k more", "too much"),
            ("get k --limit 3", "does not go with"),
            ("get k --frob 3", "unknown argument"),
            ("get k --token 3", "goes with"),
            ("get k --token x", "not a number"),
            ("get k --consistency session", "needs --token"),
            ("range --prefix a --start b", "in place of"),
            ("lease", "what to do with lease is missing"),
            ("lease steal 1", "unknown"),
            ("frobnicate", "unknown command"),
            ("get k --timeout 5", "not a duration"),
            ("get k --format xml", "human or json"),
            ("get k --endpoints x:1", "given twice"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
        let none = Options::parse(Words::new(["get".to_owned(), "k".to_owned()])).unwrap_err();
        assert!(none.contains("--endpoints"), "{none}");
    }
}
