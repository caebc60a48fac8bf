//! "Did you mean": the nearest of the names that exist.

/// The name nearest to what was written, if one is near enough that it was probably meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace('_', "-");
    let written = plain(written);
    let distance = |name: &str| strsim::osa_distance(&written, &plain(name));
    // A third of the letters may be wrong; of short names one.
    let near = |name: &str| distance(name) <= (name.chars().count() / 3).max(1);
    let extends = |name: &str| written.len() >= 3 && plain(name).starts_with(&written);
    names.into_iter().filter(|n| near(n) || extends(n)).min_by_key(|n| (distance(n), *n))
}

/// `; did you mean ‘x’?`, or what there is.
pub(crate) fn hint<'a>(written: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(written, names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let all: Vec<&str> = names.into_iter().collect();
            match all.is_empty() {
                true => "there are none in this build".to_owned(),
                false => format!("there are: {}", all.join(", ")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["partition", "pause", "kill", "restart-all", "time_limit"];
        assert_eq!(nearest("partitoin", names), Some("partition"));
        assert_eq!(nearest("restart_all", names), Some("restart-all"));
        assert_eq!(nearest("time-limit", names), Some("time_limit"));
        assert_eq!(nearest("part", names), Some("partition"));
        assert_eq!(nearest("Kil", names), Some("kill"));
        assert_eq!(nearest("earthquake", names), None);
        assert_eq!(hint("earthquake", ["a", "b"]), "there are: a, b");
    }
}
