//! What a person sees while a run goes on: one line that is written over on a terminal, a line now and then
//! elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use squall_engine::Progress;
use squall_reports::text::inert;
use tokio::task::JoinHandle;

const REDRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);
const COLUMNS_MAX: usize = 160;

/// Shows progress on standard error until dropped.
#[derive(Debug)]
pub(crate) struct Live {
    task: JoinHandle<()>,
    terminal: bool,
}

impl Live {
    /// Begins.
    pub(crate) fn start(progress: Progress) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let every = if terminal { REDRAW_EVERY } else { LINE_EVERY };
            let mut meter = Meter::default();
            loop {
                tokio::time::sleep(every).await;
                let Some(line) = meter.line(&progress, begun) else { continue };
                let line: String = line.chars().take(COLUMNS_MAX).collect();
                let text = if terminal { format!("\r\x1b[2K{line}") } else { format!("{line}\n") };
                // Nobody there to read it is no reason to end a run.
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
        });
        Live { task, terminal }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
        if self.terminal {
            let _ = std::io::stderr().write_all(b"\r\x1b[2K");
        }
    }
}

/// Rates need the count of the last look.
#[derive(Debug, Default)]
struct Meter {
    completed: u64,
    at: Option<Instant>,
}

impl Meter {
    fn line(&mut self, progress: &Progress, begun: Instant) -> Option<String> {
        let watched = progress.look();
        if watched.phase.is_empty() {
            return None;
        }
        let mut line = format!("{:5.1} s  {:9}", begun.elapsed().as_secs_f64(), watched.phase);
        if let Some(recorder) = &watched.recorder {
            let tally = recorder.tally();
            let (ok, fail, info) =
                (tally.ok.load(Relaxed), tally.fail.load(Relaxed), tally.info.load(Relaxed));
            let completed = ok + fail + info;
            let now = Instant::now();
            let since = self.at.map_or(1.0, |at| now.duration_since(at).as_secs_f64().max(1e-3));
            let rate = completed.saturating_sub(self.completed) as f64 / since;
            (self.completed, self.at) = (completed, Some(now));
            line.push_str(&format!("{rate:7.0}/s  ok {ok}  fail {fail}  info {info}"));
        }
        if let Some(deployment) = &watched.deployment {
            if let Some((leader, term)) = deployment.leader.now() {
                line.push_str(&format!("  leader {} (term {term})", deployment.name(leader)));
            }
            for fault in deployment.active().values() {
                line.push_str("  ⚡ ");
                line.push_str(&inert(fault));
            }
        }
        Some(line)
    }
}
