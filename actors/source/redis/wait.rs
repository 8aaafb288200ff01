//! Waiting for messages, without taking any.
//!
//! `BLMOVE list wake RIGHT LEFT` waits until the list has a message, and then is refused: `wake` is a string, which each
//! heartbeat sets. So nothing moves, and the answer has a few bytes, however large the message is and however many daemons
//! wait for it; a wait that is cut short, or whose answer is lost, has moved nothing either.
//!
//! A server that loses its data during a wait has no `wake` any more. A message that comes then does move there; the
//! answer shows it, and the heartbeat that follows puts the message back at its place, as does any daemon's next
//! heartbeat.
//!
//! A wait runs on a connection of its own, as a task of its own: the poller may be called away (by a retry that is due,
//! by a stop), and the next poller goes on with the same wait.

use std::time::Duration;

use bb8_redis::redis::{Cmd, Value, cmd};
use tokio::task::JoinHandle;

use super::RedisSource;
use super::connect::Connection;
use super::error::Fault;
use super::unconsumed::OURS;
use crate::stop::StopListener;

/// The longest wait. What no wait can see (messages that another daemon gave back for a dead one, a retry that another
/// daemon has set) is noticed after it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Between two polls where the server cannot wait for us: it is out of memory, and moves nothing, not even in place.
const POLL: Duration = Duration::from_millis(100);
/// How a server refuses to move a message to what is no list.
const NO_LIST: &str = "WRONGTYPE";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// There is a message, or none came in time.
    MovedNothing,
    /// A message lies where the heartbeat finds it.
    Moved,
}

/// The connection, or the task that waits with it.
#[derive(Default)]
pub(super) struct Waiting {
    connection: Option<Connection>,
    task: Option<JoinHandle<(Connection, Result<Waited, Fault>)>>,
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
            let wait = cmd("BLMOVE")
                .arg(&self.config.key)
                .arg(format!("{}{OURS}wake", self.config.key))
                .arg("RIGHT")
                .arg("LEFT")
                .arg(LONGEST_WAIT.as_secs_f64())
                .to_owned();
            waiting.task = Some(self.home.spawn(block(connection, wait)));
        }
        let Some(task) = waiting.task.as_mut() else {
            return;
        };
        let ended = task.await;
        waiting.task = None;
        if let Ok((mut connection, waited)) = ended {
            match waited {
                Ok(waited) => {
                    waiting.connection = Some(connection);
                    if waited == Waited::Moved
                        && let Err(fault) = self.beat().await
                    {
                        self.cannot_wait(fault).await;
                    }
                }
                Err(fault) => {
                    self.server().failed_on(&mut connection, &fault);
                    self.cannot_wait(fault).await;
                }
            }
        }
    }

    /// The poll that comes next reports better what is wrong.
    async fn cannot_wait(&self, fault: Fault) {
        log::debug!(
            "queue `{}`: cannot wait for messages: {}",
            self.queue(),
            fault.text()
        );
        tokio::time::sleep(POLL).await;
    }
}

async fn block(mut connection: Connection, wait: Cmd) -> (Connection, Result<Waited, Fault>) {
    // A wait is shorter than any silence that means something.
    let waited = connection.inner.query_unless::<Value>(&wait, NO_LIST).await;
    let waited = waited.map(|answer| match answer {
        None | Some(Value::Nil) => Waited::MovedNothing,
        Some(_) => Waited::Moved,
    });
    (connection, waited)
}
