//! A part of a campaign, so that several machines share it.

use std::fmt;
use std::str::FromStr;

/// The `part`-th of `of` parts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub part: u32,
    /// How many parts there are.
    pub of: u32,
}

/// Where a Kubernetes Indexed Job says which of its pods this is, from 0.
const JOB_INDEX: &str = "JOB_COMPLETION_INDEX";

impl Shard {
    /// Whether the run at this place of the campaign belongs to this part. Runs are dealt out in turn, so that
    /// parts are of equal size and each sees every kind of run.
    pub fn has(self, index: usize) -> bool {
        index as u64 % u64::from(self.of) == u64::from(self.part - 1)
    }

    fn read(text: &str, job: impl FnOnce() -> Option<String>) -> Result<Shard, String> {
        let wrong =
            || format!("`{text}` is no part of a campaign; write for example 2/5 for the second of five");
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let of: u32 = of.parse().map_err(|_| wrong())?;
        let part: u32 = if part == "job" {
            let index = job().and_then(|i| i.parse::<u32>().ok());
            index.ok_or_else(|| format!("`job` in `{text}` needs a number in {JOB_INDEX}"))?.saturating_add(1)
        } else {
            part.parse().map_err(|_| wrong())?
        };
        if part == 0 || part > of {
            return Err(format!("there is no part {part} of {of}: parts count from 1 to {of}"));
        }
        Ok(Shard { part, of })
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `2/5`; `job/5` takes the part from a Kubernetes Indexed Job.
    fn from_str(text: &str) -> Result<Self, String> {
        Shard::read(text, || std::env::var(JOB_INDEX).ok())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for of in 1..=7 {
            assert!(Shard { part: 1, of }.has(0) && Shard { part: of, of }.has(of as usize - 1));
            for index in 0..50 {
                let owners = (1..=of).filter(|part| Shard { part: *part, of }.has(index)).count();
                assert_eq!(owners, 1);
            }
        }
    }

    #[test]
    fn parts_are_read_and_refused() {
        assert_eq!("2/5".parse(), Ok(Shard { part: 2, of: 5 }));
        for wrong in ["0/5", "6/5", "1", "a/b", "1/0", "-1/2", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_indexed_job_counts_from_zero() {
        assert_eq!(Shard::read("job/4", || Some("3".into())), Ok(Shard { part: 4, of: 4 }));
        assert!(Shard::read("job/4", || None).unwrap_err().contains("JOB_COMPLETION_INDEX"));
        assert!(Shard::read("job/4", || Some("4".into())).is_err());
    }
}
