//! Text as a shell reads it back.

/// A value as one word of a shell.
pub fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_meant() {
        assert_eq!(shell_word("partition,kill"), "partition,kill");
        assert_eq!(shell_word("{\"etcd\":{\"flags\":[\"it's\"]}}"), r#"'{"etcd":{"flags":["it'\''s"]}}'"#);
    }
}
