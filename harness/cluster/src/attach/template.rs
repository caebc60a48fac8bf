//! Commands with placeholders, `{node}`.
//!
//! Only a word in braces is a placeholder, so JSON, `awk '{print $1}'` and `${HOME}` stand as they are; a word that
//! is meant literally is written `{{word}}`. Values are quoted for the shell where they need it.

use std::collections::BTreeMap;

use crate::shell_word;

/// What placeholders stand for.
pub type Values = BTreeMap<&'static str, String>;

/// The placeholder of a whole command.
pub(super) const COMMAND: &str = "command";

/// A word in braces at the beginning of a text: the word, its length with all braces, whether they are doubled.
fn word(text: &str) -> Option<(&str, usize, bool)> {
    let depth = if text.starts_with("{{") { 2 } else { 1 };
    let inner = text.strip_prefix(&"{{"[..depth])?;
    let end = inner.find(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|end| *end > 0)?;
    inner[end..].starts_with(&"}}"[..depth]).then(|| (&inner[..end], end + 2 * depth, depth == 2))
}

/// Passes over a text piece by piece: what stands as it is, and what is a placeholder.
fn pieces<'a>(text: &'a str, mut plain: impl FnMut(&'a str), mut place: impl FnMut(&'a str)) {
    let (mut from, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|open| at + open) {
        let Some((name, length, doubled)) = word(&text[open..]) else {
            at = open + 1;
            continue;
        };
        at = open + length;
        if doubled {
            plain(&text[from..=open]);
            plain(name);
            plain("}");
            from = at;
        } else if !text[..open].ends_with('$') {
            plain(&text[from..open]);
            place(name);
            from = at;
        }
    }
    plain(&text[from..]);
}

/// The placeholders of a text, in order.
pub fn placeholders(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    pieces(text, |_| {}, |name| found.push(name));
    found
}

/// The first placeholder that is not among those known.
pub fn missing<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
    placeholders(text).into_iter().find(|name| !known.contains(name))
}

/// The text with its placeholders filled in. One that has no value stays: files are checked when they are read.
pub fn render(text: &str, values: &Values) -> String {
    let filled = std::cell::RefCell::new(String::new());
    pieces(
        text,
        |plain| filled.borrow_mut().push_str(plain),
        |name| match values.get(name) {
            // Words of a shell already: quoted once more they would be one.
            Some(value) if name == COMMAND => filled.borrow_mut().push_str(value),
            Some(value) => filled.borrow_mut().push_str(&shell_word(value)),
            None => filled.borrow_mut().push_str(&format!("{{{name}}}")),
        },
    );
    filled.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_in_braces_is_a_placeholder() {
        let text = r#"awk '{print $1}' ${HOME} {{node}} {node}:{port_x} {"a": {}} {Node} {"#;
        assert_eq!(placeholders(text), ["node", "port_x"]);
        assert_eq!(missing(text, &["node"]), Some("port_x"));
        let values = Values::from([("node", "n1".to_owned()), ("port_x", "7000".to_owned())]);
        assert_eq!(render(text, &values), r#"awk '{print $1}' ${HOME} {node} n1:7000 {"a": {}} {Node} {"#);
    }

    #[test]
    fn values_are_one_word_of_the_shell_whatever_they_hold() {
        let values = Values::from([("dir", "a b; rm 'x'".to_owned()), ("node", "n-1.x".to_owned())]);
        assert_eq!(render("cd {dir} && {node}", &values), r"cd 'a b; rm '\''x'\''' && n-1.x");
        assert_eq!(shell_word(""), "''");
    }
}
