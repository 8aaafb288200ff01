//! One named Redis server, shared by all queues on it: its connections, and its outages.
//!
//! An outage is the server's, not a queue's: the first caller that meets it logs it, one waiting caller tries again
//! from time to time, and all callers go on when it has passed. So an outage is two log lines for any number of queues
//! and consumers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8::RunError;
use bb8_redis::redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation};
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::connect::{Connection, Manager};
use super::error::{self, Fault};
use super::stream::SILENT;
use super::unconsumed::{UnconsumedList, unconsumed_lists};
use crate::config::RedisSettings;
use crate::outage::Outage;

/// Connections that scripts share. A connection runs one script at a time, in well under a millisecond, so a few of them
/// keep a server busy.
const CONNECTIONS: u32 = 8;
/// The longest wait for one of the connections: longer than any answer takes, so after it the server is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module's header.
pub(crate) struct Server {
    manager: Arc<Manager>,
    pool: bb8::Pool<Shared>,
    /// The connection for heartbeats, which must not wait for the large replies of scripts.
    heart: tokio::sync::Mutex<Option<Arc<Connection>>>,
    down: AtomicBool,
    outage: Mutex<Away>,
    /// While the server is away, one caller at a time tries.
    turn: tokio::sync::Mutex<()>,
}

/// The result of a call to a server.
pub(super) type Answer<T> = Result<T, Fault>;

impl Server {
    /// To be called inside a runtime without business code: connections are opened there.
    ///
    /// # Errors
    ///
    /// When the address is not valid.
    pub(crate) fn new(name: &str, settings: &RedisSettings) -> Result<Arc<Self>, String> {
        let manager = Arc::new(Manager::new(name, settings)?);
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(PATIENCE)
            .build_unchecked(Shared(Arc::clone(&manager)));
        Ok(Arc::new(Self {
            manager,
            pool,
            heart: tokio::sync::Mutex::default(),
            down: AtomicBool::new(false),
            outage: Mutex::new(Away {
                outage: Outage::of_server(format!("redis `{name}`"), format!("redis `{name}`")),
                pause: Duration::ZERO,
                refuses_writes: false,
            }),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Runs a script once.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Answer<T> {
        let mut connection = self.connection().await?;
        let answer = connection.inner.run(script).await;
        answer.inspect_err(|fault| self.manager.failed(&mut connection, fault))
    }

    /// As [`Server::run`], for heartbeats.
    pub(super) async fn run_for_life<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Answer<T> {
        let connection = self.heart().await?;
        let answer = connection.inner.run_beside(script).await;
        answer.inspect_err(|fault| self.manager.failed_beside(&connection, fault))
    }

    /// The connection for heartbeats. Heartbeats of several queues use it at the same time.
    async fn heart(&self) -> Answer<Arc<Connection>> {
        let was_down = self.is_down();
        let mut heart = self.heart.lock().await;
        if let Some(connection) = heart.as_ref().filter(|heart| self.is_current(heart)) {
            return Ok(Arc::clone(connection));
        }
        // The caller that had the lock before has tried in vain.
        if !was_down && self.is_down() {
            return Err(self.why_none());
        }
        let connection = Arc::new(self.manager.open_checked().await?);
        *heart = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// A new connection whose commands may block.
    pub(super) async fn patient_connection(&self) -> Answer<Connection> {
        self.manager.open().await
    }

    /// Whether the connection still leads to the server that is used.
    pub(super) fn is_current(&self, connection: &Connection) -> bool {
        self.manager.is_current(connection)
    }

    /// A command on this connection failed.
    pub(super) fn failed_on(&self, connection: &mut Connection, fault: &Fault) {
        self.manager.failed(connection, fault);
    }

    pub(super) async fn connection(&self) -> Answer<bb8::PooledConnection<'_, Shared>> {
        loop {
            let failed = self.manager.failed.notified();
            let got = tokio::select! {
                biased;
                connection = self.pool.get() => connection,
                () = failed => return Err(self.why_none()),
            };
            match got {
                Ok(connection) => return Ok(connection),
                // All connections are busy with long replies, and the server is not away.
                Err(RunError::TimedOut) if self.manager.last_byte.silence() < PATIENCE => {}
                Err(RunError::TimedOut) => return Err(self.why_none()),
                Err(RunError::User(cause)) => return Err(Fault::of(&cause)),
            }
        }
    }

    /// Lists of this server beside which messages wait that no daemon consumes. `consumed`: the lists of this daemon.
    pub(crate) async fn unconsumed(
        &self,
        consumed: &BTreeSet<String>,
        pause: Duration,
    ) -> Answer<Vec<UnconsumedList>> {
        let mut connection = self.connection().await?;
        let found = unconsumed_lists(&mut connection.inner, consumed, pause).await;
        found.inspect_err(|fault| self.manager.failed(&mut connection, fault))
    }

    fn why_none(&self) -> Fault {
        let unknown = || Fault::Away(SILENT.to_owned());
        self.manager.last_failure().unwrap_or_else(unknown)
    }

    /// Waits, while the server is away, for the right to try. The right is to be kept until the attempt is over.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        if !self.down.load(Ordering::Acquire) {
            return None;
        }
        let turn = self.turn.lock().await;
        if !self.down.load(Ordering::Acquire) {
            return None;
        }
        let pause = self.outage.lock().pause;
        tokio::time::sleep(pause).await;
        Some(Turn(turn))
    }

    /// The server serves no client. Callers that fail together count as one attempt.
    pub(super) fn failed(&self, cause: &str, turn: Option<&Turn<'_>>) {
        let mut away = self.outage.lock();
        if turn.is_some() || !self.down.load(Ordering::Acquire) {
            away.refuses_writes |= error::refuses_writes(cause);
            away.pause = away
                .outage
                .failed_after(self.manager.last_byte.silence(), cause);
        }
        self.down.store(true, Ordering::Release);
    }

    /// The server answered and wrote nothing. A server that refuses all writes is not back by that.
    pub(super) fn answered(&self) {
        if self.down.load(Ordering::Acquire) {
            let mut away = self.outage.lock();
            if !away.refuses_writes {
                self.end(&mut away);
            }
        }
    }

    /// The server wrote something.
    pub(super) fn wrote(&self) {
        if self.down.load(Ordering::Acquire) {
            self.end(&mut self.outage.lock());
        }
    }

    fn end(&self, away: &mut Away) {
        away.refuses_writes = false;
        self.down.store(false, Ordering::Release);
        away.outage.passed();
    }

    /// Whether the server is known to be away. Then the outage has been logged.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }
}

struct Away {
    outage: Outage,
    /// The pause before the next attempt.
    pause: Duration,
    /// It has answered that it refuses every write, as a replica does.
    refuses_writes: bool,
}

/// The right to try whether the server is back.
pub(super) struct Turn<'a>(
    #[expect(dead_code, reason = "others wait until it is dropped")] MutexGuard<'a, ()>,
);

/// The pool owns its manager; code that opens connections without the pool needs the manager too.
pub(super) struct Shared(Arc<Manager>);

impl bb8::ManageConnection for Shared {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        self.0.connect().await
    }

    /// Checks the connection without a request: a round trip before each use would cost as much as the use. A connection
    /// that failed is marked, and one to a server that is no longer the primary must not be used.
    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if self.0.is_current(connection) {
            Ok(())
        } else {
            Err((
                ErrorKind::Io,
                "others have found its server away, or no longer the primary",
            )
                .into())
        }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.broken || !self.0.is_current(connection)
    }
}
