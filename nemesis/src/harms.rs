//! The ways in which links are bad. Defaults are Jepsen's: a delay of 50 ms ± 10 ms, a loss of 20 %.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::{Delay as LinkDelay, DelayShape, LinkCounters, LinkPolicy, Loss as LinkLoss};
use squall_engine::seed::Rng;
use squall_engine::{Error, units};

use crate::quality::Harm;
use crate::victims::{field, seconds};

/// Every packet is late.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delay {
    #[serde(with = "units::duration")]
    mean: Duration,
    #[serde(with = "units::duration")]
    jitter: Duration,
    shape: DelayShape,
}

impl Default for Delay {
    fn default() -> Self {
        Delay {
            mean: Duration::from_millis(50),
            jitter: Duration::from_millis(10),
            shape: DelayShape::Normal,
        }
    }
}

impl Harm for Delay {
    const NAME: &'static str = "delay";
    const COUNTED: &'static str = "delayed";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("mean_seconds".into(), self.mean.as_secs_f64().into());
        drawn.insert("jitter_seconds".into(), self.jitter.as_secs_f64().into());
        drawn.insert("shape".into(), serde_json::to_value(self.shape).expect("a plain enum"));
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        let delay = LinkDelay {
            mean: seconds(drawn, "mean_seconds")?,
            jitter: seconds(drawn, "jitter_seconds")?,
            shape: field(drawn, "shape")?,
        };
        Ok(LinkPolicy { delay: Some(delay), ..LinkPolicy::default() })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        let millis = |name| Ok::<f64, Error>(field::<f64>(drawn, name)? * 1e3);
        Ok(format!("delayed by {} ms ± {} ms", millis("mean_seconds")?, millis("jitter_seconds")?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.delayed
    }

    fn validate(&self) -> Result<(), Error> {
        if self.mean.is_zero() {
            return Err(Error::Config("a `delay` needs a `mean` above zero".into()));
        }
        Ok(())
    }
}

/// Some packets are lost, alone or in bursts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Loss {
    share: f64,
    burst: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Loss { share: 0.2, burst: 1.0 }
    }
}

impl Harm for Loss {
    const NAME: &'static str = "loss";
    const COUNTED: &'static str = "lost";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("share".into(), self.share.into());
        drawn.insert("burst".into(), self.burst.into());
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        let loss = LinkLoss { share: field(drawn, "share")?, burst: field(drawn, "burst")? };
        Ok(LinkPolicy { loss: Some(loss), ..LinkPolicy::default() })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok(format!("lost {} of", percent(drawn)?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.lost
    }

    fn validate(&self) -> Result<(), Error> {
        if self.burst < 1.0 || !self.burst.is_finite() {
            return Err(Error::Config("the `burst` of a `loss` is a number of packets, 1 or more".into()));
        }
        a_share("loss", self.share)
    }
}

/// Some packets arrive twice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Duplicate {
    share: f64,
}

impl Default for Duplicate {
    fn default() -> Self {
        Duplicate { share: 0.2 }
    }
}

impl Harm for Duplicate {
    const NAME: &'static str = "duplicate";
    const COUNTED: &'static str = "duplicated";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("share".into(), self.share.into());
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        Ok(LinkPolicy { duplicate: field(drawn, "share")?, ..LinkPolicy::default() })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok(format!("duplicated {} of", percent(drawn)?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.duplicated
    }

    fn validate(&self) -> Result<(), Error> {
        a_share("duplicate", self.share)
    }
}

/// Some packets overtake those before them, which wait a little.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reorder {
    share: f64,
    #[serde(with = "units::duration")]
    delay: Duration,
}

impl Default for Reorder {
    fn default() -> Self {
        Reorder { share: 0.2, delay: Duration::from_millis(10) }
    }
}

impl Harm for Reorder {
    const NAME: &'static str = "reorder";
    const COUNTED: &'static str = "reordered";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("share".into(), self.share.into());
        drawn.insert("delay_seconds".into(), self.delay.as_secs_f64().into());
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        // There is nothing to overtake where nobody waits.
        let mean = seconds(drawn, "delay_seconds")?;
        let delay = LinkDelay { mean, jitter: Duration::ZERO, shape: DelayShape::Uniform };
        Ok(LinkPolicy { reorder: field(drawn, "share")?, delay: Some(delay), ..LinkPolicy::default() })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok(format!("reordered {} of", percent(drawn)?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.reordered
    }

    fn validate(&self) -> Result<(), Error> {
        if self.delay.is_zero() {
            return Err(Error::Config("a `reorder` needs a `delay`, or there is nothing to overtake".into()));
        }
        a_share("reorder", self.share)
    }
}

/// In some packets a bit is flipped: found by the checksum, or not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Corrupt {
    share: f64,
    undetected: bool,
}

impl Default for Corrupt {
    fn default() -> Self {
        Corrupt { share: 0.05, undetected: false }
    }
}

impl Harm for Corrupt {
    const NAME: &'static str = "corrupt";
    const COUNTED: &'static str = "corrupted";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("share".into(), self.share.into());
        drawn.insert("undetected".into(), self.undetected.into());
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        Ok(LinkPolicy {
            corrupt: field(drawn, "share")?,
            corrupt_undetected: field(drawn, "undetected")?,
            ..LinkPolicy::default()
        })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        let how = if field(drawn, "undetected")? { " past the checksums" } else { "" };
        Ok(format!("flipped a bit{how} in {} of", percent(drawn)?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.corrupted
    }

    fn validate(&self) -> Result<(), Error> {
        a_share("corrupt", self.share)
    }
}

/// Links carry less than the nodes would like to send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bandwidth {
    /// Bytes a second, as a size: `100kB`.
    rate: Size,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        units::parse_size(&text).map(Size)
    }
}

impl Default for Bandwidth {
    fn default() -> Self {
        Bandwidth { rate: Size(20_000) }
    }
}

impl Harm for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const COUNTED: &'static str = "held_back";

    fn draw(&self, _rng: &mut Rng, drawn: &mut Map<String, Json>) {
        drawn.insert("rate_bytes".into(), self.rate.0.into());
    }

    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        Ok(LinkPolicy { rate_bytes: Some(field(drawn, "rate_bytes")?), ..LinkPolicy::default() })
    }

    fn describe(drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok(format!("let through {} bytes a second of", field::<u64>(drawn, "rate_bytes")?))
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.delayed + counters.overflowed
    }

    fn validate(&self) -> Result<(), Error> {
        if self.rate.0 == 0 {
            return Err(Error::Config(
                "a `bandwidth` needs a `rate` above zero; a partition cuts links".into(),
            ));
        }
        Ok(())
    }
}

/// TCP connections are reset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reset {}

impl Harm for Reset {
    const NAME: &'static str = "reset";
    const COUNTED: &'static str = "answered_by_reset";

    fn draw(&self, _rng: &mut Rng, _drawn: &mut Map<String, Json>) {}

    fn policy(_drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        Ok(LinkPolicy { reset: true, ..LinkPolicy::default() })
    }

    fn describe(_drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok("reset every connection in".into())
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.reset
    }

    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Connections that are open die without a word: nothing of them arrives, and nobody is told. New ones work.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HalfOpen {}

impl Harm for HalfOpen {
    const NAME: &'static str = "half-open";
    const COUNTED: &'static str = "silenced";

    fn draw(&self, _rng: &mut Rng, _drawn: &mut Map<String, Json>) {}

    fn policy(_drawn: &Map<String, Json>) -> Result<LinkPolicy, Error> {
        Ok(LinkPolicy { half_open: true, ..LinkPolicy::default() })
    }

    fn describe(_drawn: &Map<String, Json>) -> Result<String, Error> {
        Ok("let every open connection die silently in".into())
    }

    fn harmed(counters: &LinkCounters) -> u64 {
        counters.silenced
    }

    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn percent(drawn: &Map<String, Json>) -> Result<String, Error> {
    Ok(format!("{} %", field::<f64>(drawn, "share")? * 100.0))
}

fn a_share(fault: &str, share: f64) -> Result<(), Error> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(Error::Config(format!("the `share` of a `{fault}` is above 0 and at most 1, not {share}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use squall_engine::protocol::FaultKind;

    use crate::faults;

    fn build(name: &str, options: Json) -> Result<String, String> {
        let kinds = faults();
        let kind: &FaultKind = kinds.iter().find(|k| k.name == name).unwrap();
        (kind.build)(&options).map(|f| f.name().to_owned()).map_err(|e| e.to_string())
    }
    use serde_json::Value as Json;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        for name in ["delay", "loss", "duplicate", "reorder", "corrupt", "bandwidth", "reset", "half-open"] {
            assert_eq!(build(name, Json::Null).unwrap(), name);
            assert!(build(name, json!({ "targets": [] })).unwrap_err().contains("harm nobody"), "{name}");
            assert!(build(name, json!({ "no_such_option": 1 })).is_err(), "{name}");
        }
        assert!(build("delay", json!({ "mean": "200ms", "targets": ["leader"], "clients": true })).is_ok());
        assert!(build("delay", json!({ "mean": 200 })).unwrap_err().contains("unit"));
        assert!(build("loss", json!({ "share": 1.5 })).unwrap_err().contains("at most 1"));
        assert!(build("bandwidth", json!({ "rate": "1MB" })).is_ok());
        assert!(build("bandwidth", json!({ "rate": "10" })).unwrap_err().contains("unit"));
    }
}
