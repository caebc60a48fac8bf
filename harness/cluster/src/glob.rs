//! Globs over paths relative to the data directory.

/// A pattern: `*` and `?` within a name, `**` across folders; without a slash it matches names in any folder.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: Vec<u8>,
    whole_path: bool,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        let whole_path = pattern.contains('/') || pattern == "**";
        Glob { pattern: pattern.as_bytes().to_vec(), whole_path }
    }

    /// Whether a path matches. The data directory itself is the empty path.
    pub fn matches(&self, path: &[u8]) -> bool {
        let text = match self.whole_path {
            true => path,
            false => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        };
        matches(&self.pattern, text)
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        // `**/` also stands for no folder at all.
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, text) || after_each_slash(text).any(|text| matches(rest, text))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        [b'*', rest @ ..] => {
            let name = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=name).any(|from| matches(rest, &text[from..]))
        }
        [b'?', rest @ ..] => text.first().is_some_and(|byte| *byte != b'/') && matches(rest, &text[1..]),
        [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

fn after_each_slash(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_shells_mean() {
        let cases = [
            ("*.wal", "member/wal/0.wal", true),
            ("*.wal", "0.wal", true),
            ("*.wal", "0.wal.tmp", false),
            ("wal/*", "wal/0", true),
            ("wal/*", "member/wal/0", false),
            ("wal/*", "wal/deep/0", false),
            ("**/wal/*", "member/wal/0", true),
            ("**/wal/*", "wal/0", true),
            ("member/**", "member/wal/0", true),
            ("**", "", true),
            ("**", "any/thing", true),
            ("*", "any/thing", true),
            ("?b", "a/ab", true),
            ("?b", "b", false),
            ("/wal/?", "wal/1", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(path.as_bytes()), expected, "{pattern} on {path}");
        }
    }
}
