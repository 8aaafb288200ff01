//! Waits for messages without taking any.
//!
//! `BLMOVE list wake RIGHT LEFT` waits until the list has a message, and is then refused: `wake` is a string, which each
//! heartbeat sets. So nothing moves, and the answer has a few bytes, for a message of any size and any number of waiting
//! daemons. A wait that is cut short, or whose answer is lost, has moved nothing either.
//!
//! A server that loses its data during a wait has no `wake` any more. A message that comes then moves there. The answer
//! shows that, and the next heartbeat, of this daemon or another, puts the message back at its place.
//!
//! A wait runs on a connection of its own, as a task of its own: a retry that is due or a stop may end the poller's wait, and
//! the next poller goes on with the same `BLMOVE`.

use std::time::Duration;

use bb8_redis::redis::{Cmd, Value, cmd};
use tokio::task::JoinHandle;

use super::connect::Connection;
use super::error::Fault;
use super::list::List;
use super::server::Answer;
use super::unconsumed::OURS;

/// The longest wait. `BLMOVE` does not notice messages that another daemon released for a dead one, nor a retry that
/// another daemon has set: they are found after this time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The error code for a move to a key that is no list.
const NO_LIST: &str = "WRONGTYPE";

/// The outcome of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// There is a message in the list, or none came in time.
    MovedNothing,
    /// A message was moved to `wake`, where the heartbeat finds it.
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

impl Waiting {
    /// Returns when the list may have a message, after [`LONGEST_WAIT`] at the latest. Where the future is dropped, the next
    /// call goes on with the same wait.
    pub(super) async fn arrival(&mut self, list: &List) -> Answer<Waited> {
        if self.task.is_none() {
            let kept = self.connection.take();
            let connection = match kept.filter(|kept| list.server().is_current(kept)) {
                Some(connection) => connection,
                None => list.server().patient_connection().await?,
            };
            let wait = cmd("BLMOVE")
                .arg(list.key())
                .arg(format!("{}{OURS}wake", list.key()))
                .arg("RIGHT")
                .arg("LEFT")
                .arg(LONGEST_WAIT.as_secs_f64())
                .to_owned();
            self.task = Some(list.home.spawn(block(connection, wait)));
        }
        let Some(task) = self.task.as_mut() else {
            return Ok(Waited::MovedNothing);
        };
        let ended = task.await;
        self.task = None;
        // The task panicked: there is no outcome.
        let Ok((mut connection, waited)) = ended else {
            return Ok(Waited::MovedNothing);
        };
        match waited {
            Ok(_) => self.connection = Some(connection),
            Err(ref fault) => list.server().failed_on(&mut connection, fault),
        }
        waited
    }
}

async fn block(mut connection: Connection, wait: Cmd) -> (Connection, Result<Waited, Fault>) {
    // A wait is shorter than the silence after which a server is away.
    let waited = connection.inner.query_unless::<Value>(&wait, NO_LIST).await;
    let waited = waited.map(|answer| match answer {
        None | Some(Value::Nil) => Waited::MovedNothing,
        Some(_) => Waited::Moved,
    });
    (connection, waited)
}
