//! From the path of a request to a file of the store, and never to another.

use std::path::{Component, Path, PathBuf};

/// The parts of a path or of a query's value, decoded. `None` if any of it is not what a browser of ours would
/// send: broken escapes, bytes that are no UTF-8, control characters.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let digit = |b: Option<u8>| (b? as char).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b => b,
        });
    }
    String::from_utf8(bytes).ok().filter(|s| !s.chars().any(char::is_control))
}

/// A value of a query.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    found.and_then(|(_, value)| decode(&value.replace('+', " ")))
}

/// What a relative path means below `root`, if it is there and lies within, wherever links lead.
/// `root` is canonical.
pub(super) fn within(root: &Path, relative: &str) -> Option<PathBuf> {
    let path = Path::new(relative);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let hidden = path.components().any(|c| c.as_os_str().to_string_lossy().starts_with('.'));
    if !plain || hidden || relative.contains('\\') {
        return None;
    }
    let real = std::fs::canonicalize(root.join(path)).ok()?;
    real.starts_with(root).then_some(real)
}

/// Whether a `Host` names this machine by loopback.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap().join("store");
        std::fs::create_dir_all(root.join("a b")).unwrap();
        std::fs::write(root.join("a b/ü.txt"), "").unwrap();
        std::fs::write(root.join(".hidden"), "").unwrap();
        std::fs::write(dir.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("a b", root.join("latest")).unwrap();
        for good in ["a b/ü.txt", "latest/ü.txt"] {
            assert_eq!(within(&root, good).unwrap(), root.join("a b/ü.txt"), "{good}");
        }
        let bad =
            ["../secret", "a b/../../secret", "/etc/passwd", "out", ".hidden", "..", "a b\\..\\x", "no"];
        for path in bad {
            assert_eq!(within(&root, path), None, "{path}");
        }
    }

    #[test]
    fn escapes_are_decoded_once_and_nonsense_is_refused() {
        assert_eq!(decode("a%20b/%C3%BC").unwrap(), "a b/ü");
        assert_eq!(decode("%252e").unwrap(), "%2e");
        for bad in ["%", "%2", "%zz", "%ff", "a%00b", "%0a", "%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(value("a=1&q=x+y%26z", "q").unwrap(), "x y&z");
    }

    #[test]
    fn names_of_other_sites_are_not_ours() {
        for ours in ["127.0.0.1:7187", "localhost:1", "LOCALHOST", "[::1]:80", "127.1.2.3"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for theirs in ["example.org", "127.0.0.1.example.org:80", "localhost.example.org", "10.0.0.1", ""] {
            assert!(!is_loopback(theirs), "{theirs}");
        }
    }
}
