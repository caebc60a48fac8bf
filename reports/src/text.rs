//! Text for people: numbers, times, operations, and values from a target made harmless.

use squall_history::{Op, Outcome, Value};

/// Makes text from a target inert wherever it is shown: control characters (terminal escapes, NUL, line
/// breaks), characters that turn or hide the text around them, and private or invalid ones are written out.
///
/// HTML still has to be escaped where it is written; `maud` does so.
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_active(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn is_active(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'          // C0, DEL, C1
        | '\u{ad}' | '\u{61c}' | '\u{180e}'               // soft hyphen, direction marks
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The same for text of ours that may span lines: line breaks stay.
pub fn inert_lines(text: &str) -> String {
    text.lines().map(inert).collect::<Vec<_>>().join("\n")
}

/// At most `limit` characters; what was cut is said.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], count(text.chars().count() as u64)),
    }
}

/// At most `limit` characters, the last a mark where something was cut: for labels in pictures.
pub fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `29812` as `29,812`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 operation`, `2 operations`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A length of time in the unit that suits it: `340 µs`, `1.25 ms`, `12.4 s`, `3 min 20 s`.
pub fn duration(nanos: u64) -> String {
    let digits = |x: f64| if x < 10.0 { 2 } else { usize::from(x < 100.0) };
    let scaled = |unit: f64, name: &str| {
        let x = nanos as f64 / unit;
        format!("{x:.*} {name}", digits(x))
    };
    match nanos {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => scaled(1e3, "µs"),
        1_000_000..1_000_000_000 => scaled(1e6, "ms"),
        1_000_000_000..120_000_000_000 => scaled(1e9, "s"),
        _ => format!("{} min {} s", nanos / 60_000_000_000, nanos / 1_000_000_000 % 60),
    }
}

/// The same, of seconds; negative is shown as such.
pub fn seconds(s: f64) -> String {
    let sign = if s < 0.0 { "−" } else { "" };
    format!("{sign}{}", duration((s.abs() * 1e9).round() as u64))
}

/// The same of a round number, without the digits that only a measurement has: `10 ms`.
pub fn round_seconds(s: f64) -> String {
    seconds(s).replace(".00 ", " ").replace(".0 ", " ")
}

/// A point in time since the run began: `12.345 s`.
pub fn at(nanos: u64) -> String {
    format!("{:.3} s", nanos as f64 / 1e9)
}

/// A share as `99.2 %`. Only all is `100 %`, only nothing is `0 %`.
pub fn percent(share: f64) -> String {
    match share {
        s if s <= 0.0 => "0 %".to_owned(),
        s if s >= 1.0 => "100 %".to_owned(),
        s => format!("{:.1} %", (s * 100.0).clamp(0.1, 99.9)),
    }
}

/// Characters of one value that are shown.
const VALUE_SHOWN: usize = 160;

/// A value as JSON, inert and cut; absence is `nil`.
pub fn value(v: &Value) -> String {
    match v {
        Value::Nil => "nil".to_owned(),
        Value::Int(i) => i.to_string(),
        other => cut(&inert(&other.to_string()), VALUE_SHOWN),
    }
}

/// An operation in one line: `cas(3, [1,2]) → true`. An answer that only repeats the argument is left out.
pub fn operation(op: &Op<'_>) -> String {
    if let Some(steps) = transaction(op) {
        return format!("{}({})", inert(op.f), cut(&steps, TRANSACTION_SHOWN));
    }
    let shown: Vec<String> = [op.key, op.input].into_iter().filter(|v| !v.is_nil()).map(value).collect();
    let call = format!("{}({})", inert(op.f), shown.join(", "));
    match op.outcome {
        Outcome::Ok if op.input.is_nil() || op.output != op.input => format!("{call} → {}", value(op.output)),
        Outcome::Ok | Outcome::Fail | Outcome::Info => call,
    }
}

/// Characters of a transaction that are shown.
const TRANSACTION_SHOWN: usize = 400;

/// The steps of a transaction: `append 3 5, r 3 → [5]`; `None` if the operation is none. What was read stands in
/// the answer, so of an `ok` one only that is told.
pub fn transaction(op: &Op<'_>) -> Option<String> {
    let answered = op.outcome == Outcome::Ok && op.output.as_list().is_some();
    let steps = if answered { op.output } else { op.input }.as_list()?;
    let told = steps.iter().map(|step| match step.as_list()? {
        [Value::Str(f), key, read] if f.as_str() == "r" || f.as_str() == "read" => Some(match answered {
            true => format!("r {} → {}", value(key), value(read)),
            false => format!("r {}", value(key)),
        }),
        [Value::Str(f), key, written] => Some(format!("{} {} {}", inert(f), value(key), value(written))),
        _ => None,
    });
    let told: Vec<String> = told.collect::<Option<_>>()?;
    (!told.is_empty()).then(|| told.join(", "))
}

/// How an operation ended, in a word.
pub fn outcome(o: Outcome) -> &'static str {
    match o {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    }
}

/// `2026-11-21 03:04:05 UTC` of nanoseconds since 1970.
pub fn date(unix_nanos: u64) -> String {
    let seconds = unix_nanos / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_or_hides_text_is_written_out() {
        assert_eq!(inert("a\u{1b}[31mb\0\n\u{9b}0m"), "a\\u{1b}[31mb\\u{0}\\n\\u{9b}0m");
        assert_eq!(inert("abc\u{202e}fed\u{200b}"), "abc\\u{202e}fed\\u{200b}");
        assert_eq!(inert("é 漢字 🌩 <b>"), "é 漢字 🌩 <b>", "what only looks odd stays");
        assert_eq!(inert_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn numbers_are_grouped_and_times_scaled() {
        assert_eq!(
            [0, 999, 1000, 29_812, 1_000_000].map(count),
            ["0", "999", "1,000", "29,812", "1,000,000"]
        );
        let times = [0, 950, 340_000, 1_250_000, 12_400_000_000, 200_000_000_000].map(duration);
        assert_eq!(times, ["0 s", "950 ns", "340 µs", "1.25 ms", "12.4 s", "3 min 20 s"]);
        assert_eq!(percent(0.9999), "99.9 %");
        assert_eq!(cut("äöü", 2), "äö… (3 characters)");
        assert_eq!([clip("äöü", 2), clip("äöü", 3)], ["ä…", "äöü"]);
    }

    #[test]
    fn transactions_are_told_step_by_step() {
        let step = |f: &str, v: Value| Value::list([Value::str(f), Value::Int(3), v]);
        let list = Value::list([Value::Int(5)]);
        let input = Value::list([step("append", 5.into()), step("r", Value::Nil)]);
        let output = Value::list([step("append", 5.into()), step("r", list)]);
        let told = |outcome, output: &Value| {
            let (key, end) = (&Value::Nil, 2);
            operation(&Op {
                index: 0,
                process: 0,
                f: "txn",
                f_id: 0,
                key,
                input: &input,
                output,
                outcome,
                invoked: 0,
                completed: 1,
                start: 1,
                end,
                intended: 1,
            })
        };
        assert_eq!(told(Outcome::Ok, &output), "txn(append 3 5, r 3 → [5])");
        assert_eq!(told(Outcome::Info, &Value::Nil), "txn(append 3 5, r 3)");
        let cas = Value::list([Value::Int(1), Value::Int(2)]);
        let plain = Op {
            index: 0,
            process: 0,
            f: "cas",
            f_id: 0,
            key: &Value::Int(7),
            input: &cas,
            output: &cas,
            outcome: Outcome::Ok,
            invoked: 0,
            completed: 1,
            start: 1,
            end: 2,
            intended: 1,
        };
        assert_eq!(operation(&plain), "cas(7, [1,2])");
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_709_251_199_000_000_000), "2024-02-29 23:59:59 UTC");
        assert_eq!(date(4_107_542_400_000_000_000), "2100-03-01 00:00:00 UTC");
    }
}
