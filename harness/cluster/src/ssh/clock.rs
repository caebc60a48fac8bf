//! A host's wall clock: really set, with the daemons that keep time stopped while it is wrong.
//!
//! Only the whole host's clock can be moved, so everything on it sees it. The agent does the setting, and knows
//! where true time is; the daemons are stopped before the first change and started again at true time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;

use super::shell::{Shell, must};
use super::wire::{Answer, ClockOrder, Command, Request};
use crate::{Clock, ClockChange, ClockReading, Error, Exit};

/// Services that set the clock.
const DAEMONS: [&str; 7] = ["chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd", "systemd-timesyncd"];

/// See the module.
#[derive(Debug)]
pub(super) struct SshClock {
    name: String,
    shell: Arc<dyn Shell>,
    reading: Mutex<ClockReading>,
    // Daemons that were stopped; `None` as long as nobody looked.
    stopped: AsyncMutex<Option<Vec<&'static str>>>,
}

impl SshClock {
    pub fn new(name: &str, shell: Arc<dyn Shell>) -> Self {
        let reading = Mutex::new(ClockReading { rate: 1.0, ..ClockReading::default() });
        SshClock { name: name.to_owned(), shell, reading, stopped: AsyncMutex::new(None) }
    }

    async fn order(&self, order: ClockOrder) -> Result<(), Error> {
        let mut stopped = self.stopped.lock().await;
        if stopped.is_none() {
            *stopped = Some(self.stop_daemons().await?);
        }
        let answer = self.shell.ask(Request::Clock(order)).await?;
        let Answer::Clock { offset_nanos, rate, generation, seen } = answer else {
            return Err(Error::Broken(format!(
                "the agent on {} answered a change of its clock with {answer:?}",
                self.name
            )));
        };
        {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = if seen { generation } else { reading.seen };
            *reading = ClockReading { offset_nanos, rate, generation, seen };
        }
        if order == ClockOrder::Reset {
            for daemon in stopped.take().into_iter().flatten() {
                must(&*self.shell, &self.name, Command::new(["systemctl", "start", daemon])).await?;
            }
        }
        Ok(())
    }

    /// Stops those that run, and has the dead man's switch start them again.
    async fn stop_daemons(&self) -> Result<Vec<&'static str>, Error> {
        let mut stopped = Vec::new();
        for daemon in DAEMONS {
            let asked = self.shell.run(Command::new(["systemctl", "is-active", "--quiet", daemon])).await;
            // A host without systemd has no such services.
            let Ok((Exit::Code(0), ..)) = asked else { continue };
            self.shell.arm(Command::new(["systemctl", "start", daemon])).await?;
            must(&*self.shell, &self.name, Command::new(["systemctl", "stop", daemon])).await?;
            stopped.push(daemon);
        }
        Ok(stopped)
    }
}

#[async_trait]
impl Clock for SshClock {
    async fn change(&self, change: ClockChange) -> Result<(), Error> {
        self.order(match change {
            ClockChange::Jump(nanos) => ClockOrder::Jump(nanos),
            ClockChange::Rate(rate) => ClockOrder::Rate(rate),
            ClockChange::Reset => ClockOrder::Reset,
        })
        .await
    }

    fn read(&self) -> ClockReading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn strobe(&self, delta_nanos: i64, period: Duration) -> Result<(), Error> {
        let period_nanos = period.as_nanos().min(u128::from(u64::MAX)) as u64;
        self.order(ClockOrder::Strobe { delta_nanos, period_nanos }).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::shell::Recorded;
    use super::*;

    #[tokio::test]
    async fn the_daemon_is_stopped_before_and_started_after() {
        let inactive = |name| (name, 3, "");
        let says = [
            "systemctl is-active --quiet chronyd",
            "systemctl is-active --quiet ntp",
            "systemctl is-active --quiet openntpd",
            "systemctl is-active --quiet systemd-timesyncd",
        ];
        let shell = Arc::new(Recorded { says: says.map(inactive).into(), ..Recorded::default() });
        let clock = SshClock::new("n1", shell.clone());
        clock.change(ClockChange::Jump(5)).await.unwrap();
        let expected = "\
$ systemctl is-active --quiet chrony
undo: systemctl start chrony
$ systemctl stop chrony
$ systemctl is-active --quiet chronyd
$ systemctl is-active --quiet ntp
$ systemctl is-active --quiet ntpd
$ systemctl is-active --quiet ntpsec
$ systemctl is-active --quiet openntpd
$ systemctl is-active --quiet systemd-timesyncd
> {\"clock\":{\"jump\":5}}
";
        assert_eq!(shell.taken(), expected);
        assert_eq!(clock.read(), ClockReading { offset_nanos: 5, rate: 1.0, generation: 1, seen: 1 });
        clock.change(ClockChange::Rate(0.5)).await.unwrap();
        assert_eq!(shell.taken(), "> {\"clock\":{\"rate\":0.5}}\n", "it is stopped already");
        clock.change(ClockChange::Reset).await.unwrap();
        assert_eq!(shell.taken(), "> {\"clock\":\"reset\"}\n$ systemctl start chrony\n");
        assert_eq!((clock.read().offset_nanos, clock.read().rate), (0, 1.0));
    }
}
