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

use super::connect::Connection;
use super::error::Fault;
use super::list::List;
use super::server::Answer;
use super::unconsumed::OURS;

/// The longest wait. What no wait can see (messages that another daemon released for a dead one, a retry that another
/// daemon has set) is noticed after it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How a server refuses to move a message to what is no list.
const NO_LIST: &str = "WRONGTYPE";

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
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

impl Waiting {
    /// Returns when there may be a message. Waits until then, or for as long as the server would; may be dropped, and the
    /// next call goes on with the same wait.
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
        // A task that panicked has shown nothing.
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
    // A wait is shorter than any silence that means something.
    let waited = connection.inner.query_unless::<Value>(&wait, NO_LIST).await;
    let waited = waited.map(|answer| match answer {
        None | Some(Value::Nil) => Waited::MovedNothing,
        Some(_) => Waited::Moved,
    });
    (connection, waited)
}
