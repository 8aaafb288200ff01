//! Waiting for messages, without taking any.
//!
//! `BLMOVE list list RIGHT RIGHT` waits until the list has a message and puts that back where it was, in one step: a
//! wait that is cut short, or whose answer is lost, has moved nothing. It runs on a connection of its own, as a task of
//! its own: who waits may be called away (by a retry that is due, by a stop), and the next one waits on for the same.

use std::time::Duration;

use bb8_redis::redis::{Value, cmd};
use tokio::task::JoinHandle;

use super::RedisSource;
use super::connect::Connection;
use super::fault::Fault;
use crate::stop::StopListener;

/// So long a wait lasts at most. What no wait can see (messages that another daemon gave back for a dead one, a retry
/// that another daemon has set) is noticed after it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Between two looks where the server cannot wait for us: it is out of memory, and moves nothing, not even in place.
const POLL: Duration = Duration::from_millis(100);

/// The connection, or the task that waits with it.
#[derive(Default)]
pub(super) struct Waiting {
    connection: Option<Connection>,
    task: Option<JoinHandle<(Connection, Result<(), Fault>)>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl RedisSource {
    /// Returns when there may be something to take, and when a stop begins.
    pub(super) async fn wait(
        &self,
        waiting: &mut Waiting,
        next_due_ms: Option<u64>,
        stop: &mut StopListener,
    ) {
        let due = next_due_ms.map_or(LONGEST_WAIT, Duration::from_millis);
        tokio::select! {
            biased;
            () = stop.quiet() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(due.min(LONGEST_WAIT)) => {}
            () = self.arrival(waiting) => {}
        }
    }

    async fn arrival(&self, waiting: &mut Waiting) {
        if waiting.task.is_none() {
            let kept = waiting.connection.take();
            let connection = match kept.filter(|kept| self.server().is_current(kept)) {
                Some(connection) => connection,
                None => match self.server().patient_connection().await {
                    Ok(connection) => connection,
                    Err(fault) => return self.cannot_wait(fault).await,
                },
            };
            waiting.task = Some(self.home.spawn(block(connection, self.config.key.clone())));
        }
        let Some(task) = waiting.task.as_mut() else {
            return;
        };
        let ended = task.await;
        waiting.task = None;
        if let Ok((mut connection, waited)) = ended {
            match waited {
                Ok(()) => waiting.connection = Some(connection),
                Err(fault) => {
                    self.server().failed_on(&mut connection, &fault);
                    self.cannot_wait(fault).await;
                }
            }
        }
    }

    /// The look that comes next tells better what is wrong.
    async fn cannot_wait(&self, fault: Fault) {
        log::debug!(
            "queue `{}`: cannot wait for messages: {}",
            self.queue(),
            fault.text()
        );
        tokio::time::sleep(POLL).await;
    }
}

async fn block(mut connection: Connection, list: String) -> (Connection, Result<(), Fault>) {
    let mut wait = cmd("BLMOVE");
    wait.arg(&list)
        .arg(&list)
        .arg("RIGHT")
        .arg("RIGHT")
        .arg(LONGEST_WAIT.as_secs_f64());
    // A wait is shorter than any silence that means something.
    let waited: Result<Value, Fault> = connection.inner.query(&wait).await;
    (connection, waited.map(drop))
}
