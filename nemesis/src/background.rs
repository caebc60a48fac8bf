//! Faults that keep doing something until they end: a task beside the schedule, told to stop and waited for.

use async_trait::async_trait;
use squall_engine::protocol::{Evidence, Injected};
use squall_engine::{Error, Injection, Stop};
use tokio::task::JoinHandle;

/// A fault that is on, with a task that does it.
pub(crate) struct Background {
    nodes: Vec<usize>,
    description: String,
    stop: Stop,
    task: Option<JoinHandle<Result<Evidence, Error>>>,
}

impl Background {
    /// Begins. The task is to undo what it did, and to return its evidence, soon after the flag is raised.
    pub(crate) fn start<F>(
        nodes: Vec<usize>,
        description: String,
        act: impl FnOnce(Stop) -> F,
    ) -> Box<dyn Injected>
    where
        F: Future<Output = Result<Evidence, Error>> + Send + 'static,
    {
        let stop = Stop::default();
        let task = Some(tokio::spawn(act(stop.clone())));
        Box::new(Background { nodes, description, stop, task })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[async_trait]
impl Injected for Background {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(mut self: Box<Self>, _on: &Injection) -> Result<Evidence, Error> {
        self.stop.stop("the fault ends");
        let task = self.task.take().expect("it is taken here only");
        task.await.map_err(|e| Error::Broken(format!("a fault's task ended: {e}")))?
    }
}

/// Sleeps, unless the flag is raised first: then false.
pub(crate) async fn sleep(stop: &Stop, time: std::time::Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = stop.stopped() => false,
    }
}
