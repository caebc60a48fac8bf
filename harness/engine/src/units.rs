//! Durations and sizes with their units, as people write them: `30s`, `150ms`, `2GiB`.

use std::time::Duration;

use serde::{Deserializer, Serializer};

const DURATIONS: [(&str, f64); 6] =
    [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("s", 1.0), ("min", 60.0), ("h", 3600.0)];
const SIZES: [(&str, f64); 7] = [
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    (&text[..at], text[at..].trim_start())
}

/// Reads `30s`, `1.5min`, `150ms`; the unit is not optional.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let Ok(number) = number.parse::<f64>() else {
        return Err(format!("`{text}` is not a duration; write for example 30s, 500ms or 2min"));
    };
    let scale = match DURATIONS.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() => {
            return Err(format!("`{text}` lacks a unit; write for example {text}s or {text}ms"));
        }
        None => return Err(format!("`{unit}` is no unit of time; use us, ms, s, min or h")),
    };
    Duration::try_from_secs_f64(number * scale)
        .map_err(|_| format!("`{text}` is out of range for a duration"))
}

/// Reads `2GiB`, `500kB`; the unit is not optional. Bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let Ok(number) = number.parse::<f64>() else {
        return Err(format!("`{text}` is not a size; write for example 2GiB or 500MB"));
    };
    match SIZES.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) if number >= 0.0 && number * scale < u64::MAX as f64 => Ok((number * scale) as u64),
        Some(_) => Err(format!("`{text}` is out of range for a size")),
        None if unit.is_empty() => Err(format!("`{text}` lacks a unit; write for example {text}MiB")),
        None => Err(format!("`{unit}` is no unit of size; use B, kB, MB, GB, KiB, MiB or GiB")),
    }
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that keeps it short.
pub fn format_duration(d: Duration) -> String {
    let micros = d.as_micros();
    if micros == 0 || micros.is_multiple_of(1_000_000) {
        format!("{}s", d.as_secs())
    } else if micros.is_multiple_of(1000) {
        format!("{}ms", micros / 1000)
    } else {
        format!("{micros}us")
    }
}

/// For `#[serde(with = "duration")]`.
pub mod duration {
    use super::{Deserializer, Duration, Serializer, format_duration, parse_duration};

    /// Reads a text with a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Duration;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration with its unit, such as 30s")
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<Duration, E> {
                parse_duration(s).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Duration, E> {
                Err(E::custom(format!("`{n}` lacks a unit; write for example {n}s or {n}ms")))
            }
        }
        d.deserialize_any(Visitor)
    }

    /// Writes a text with a unit.
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format_duration(*d))
    }

    /// The same for optional durations.
    pub mod option {
        use serde::Deserialize;

        use super::{Deserializer, Duration, Serializer};

        #[derive(Deserialize)]
        struct Written(#[serde(with = "super")] Duration);

        /// Reads a text with a unit, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Written>::deserialize(d)?.map(|written| written.0))
        }

        /// Writes a text with a unit, or null.
        pub fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
            match d {
                Some(d) => super::serialize(d, s),
                None => s.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration(" 1.5 min"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("150ms"), Ok(Duration::from_millis(150)));
        assert!(parse_duration("30").unwrap_err().contains("lacks a unit"));
        assert!(parse_duration("30 parsecs").unwrap_err().contains("no unit of time"));
        assert!(parse_duration("-3s").unwrap_err().contains("out of range"));
        assert!(parse_duration("soon").unwrap_err().contains("not a duration"));
        for d in ["30s", "150ms", "25us", "0s"] {
            assert_eq!(format_duration(parse_duration(d).unwrap()), d);
        }
    }

    #[test]
    fn sizes_carry_units() {
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("500kB"), Ok(500_000));
        assert!(parse_size("7").is_err());
        assert!(parse_size("-1B").is_err());
    }
}
