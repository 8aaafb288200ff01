//! A connection that writes: batches in one transaction each, and heartbeats.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, timeout};

use super::apply::{Stopped, apply};
use super::dialect::{self, Connection};
use super::limits::Limits;
use super::making::Making;
use super::{boots, connect, marks};
use crate::config::Secret;
use crate::store::error::DbError;
use crate::store::error_class::{Verdict, with_code};
use crate::store::parts::Unclaimable;
use crate::store::rows::{BootRow, Heartbeat};
use crate::store::traits::{Applied, Writer};
use crate::store::write::{Write, Written};

/// A transaction that takes longer is given up: the server hangs, or the way to it is cut. Ours take milliseconds. After
/// each one that was given up the next may take twice as long, up to the longest: it may be the work.
const PATIENCE: Duration = Duration::from_secs(15);
const LONGEST_PATIENCE: Duration = Duration::from_secs(240);
/// How often a transaction that met a deadlock or a collision is tried at once; then later.
const TRIES: u32 = 8;
/// What collided with a row that another transaction has committed sees it at the next try: the claim of a fire, an
/// entry that another daemon made. A third time it is another program's key.
const TRIES_OF_DUPLICATES: u32 = 3;
/// A connection that was not used for longer is opened anew: the server may have given it up (`connect::WRITES`).
const STALE: Duration = Duration::from_secs(20);

/// A connection that does not answer by then is given up; nobody waits for this answer.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// See the module's header. Opens its connection anew after each failure.
pub(super) struct ServerWriter {
    url: Secret,
    connection: Option<Connection>,
    last_used: Instant,
    /// Names this writer in `commit_mark`.
    name: String,
    /// The number of its last transaction.
    batch: i64,
    /// The last transaction's answers, while it is not known whether it was committed.
    pub(super) unsure: Option<Vec<Written>>,
    patience: Duration,
    /// Outlives its connections.
    unclaimable: Unclaimable,
}

/// Whether a ping asks for room as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    AskedFor,
    NotAskedFor,
}

/// Why a transaction did not happen, or may not have. Nothing is written, but perhaps of the last kind.
pub(super) enum Failed {
    /// There is no connection.
    Away(String),
    /// The server's error means that it takes no writes, which one full table or a trigger can raise as well. A ping
    /// shows whether it takes any.
    Closed(String),
    /// The connection broke, or the server failed at it. A ping shows whether it is away.
    Broken(String),
    /// No answer within the patience. A ping shows whether it is away.
    Silent(String),
    /// It collided with another transaction, however often it was tried.
    Conflict(String),
    /// A key of it is there already.
    Duplicate(String),
    /// These writes waited for what another transaction has locked, for as long as one may wait.
    Held(String, Vec<usize>),
    /// A write in it is the reason.
    Refused(String),
    /// The answer to the commit was lost.
    Unsure(String, Vec<Written>),
}

impl ServerWriter {
    /// With a connection, so that a database that is away is known at once.
    pub(super) async fn open(url: Secret) -> Result<Self, DbError> {
        let connection = open(&url).await?;
        Ok(Self {
            url,
            connection: Some(connection),
            last_used: Instant::now(),
            name: uuid::Uuid::new_v4().to_string(),
            batch: 0,
            unsure: None,
            patience: PATIENCE,
            unclaimable: Unclaimable::default(),
        })
    }

    async fn connection(&mut self) -> Result<&mut Connection, DbError> {
        let fresh = self.last_used.elapsed() < STALE;
        let mut connection = match self.connection.take().filter(|_| fresh) {
            Some(connection) => connection,
            None => open(&self.url).await?,
        };
        connection.unclaimable = self.unclaimable.clone();
        self.last_used = Instant::now();
        Ok(self.connection.insert(connection))
    }

    /// Tries again what collides, for a while.
    pub(super) async fn transaction(
        &mut self,
        writes: &[Write],
        making: Making,
    ) -> Result<Vec<Written>, Failed> {
        let mut tries = 1;
        loop {
            match self.try_transaction(writes, making).await {
                Err(Failed::Duplicate(why))
                    if tries >= TRIES_OF_DUPLICATES || making.is_another() =>
                {
                    return Err(Failed::Refused(why));
                }
                Err(Failed::Conflict(_) | Failed::Duplicate(_)) if tries < TRIES => {
                    tries += 1;
                    // Two that collided must not do so again in step.
                    let pause = Duration::from_millis(fastrand::u64(0..(2 << tries)));
                    tokio::time::sleep(pause).await;
                }
                done => return done,
            }
        }
    }

    async fn try_transaction(
        &mut self,
        writes: &[Write],
        making: Making,
    ) -> Result<Vec<Written>, Failed> {
        let (patience, name) = (self.patience, self.name.clone());
        self.batch += 1;
        let batch = self.batch;
        let opened = self.connection().await;
        let connection = opened.map_err(|cause| Failed::Away(cause.into_reason()))?;
        let all = || (0..writes.len()).collect();
        let begun = timeout(patience, async {
            let begun = begin(connection, making).await;
            begun.map_err(|error| Stopped {
                error,
                places: all(),
            })?;
            apply(connection, writes).await
        });
        let written = match begun.await {
            Ok(Ok(written)) => written,
            Ok(Err(Stopped { error, places })) => return Err(self.roll_back(&error, places).await),
            Err(_) => return Err(Failed::Silent(self.give_up(writes.len()))),
        };
        // From here on the server may commit and its answer may be lost.
        match timeout(patience, marks::commit(connection, &name, batch)).await {
            Ok(Ok(())) => {
                self.patience = PATIENCE;
                Ok(written)
            }
            Ok(Err(error)) => match self.roll_back(&error, all()).await {
                Failed::Broken(why) => Err(Failed::Unsure(why, written)),
                known => Err(known),
            },
            Err(_) => Err(Failed::Unsure(self.give_up(writes.len()), written)),
        }
    }

    /// The connection stays after an error that concerns the write alone, and is dropped after any other error.
    async fn roll_back(&mut self, error: &diesel::result::Error, places: Vec<usize>) -> Failed {
        let Some(connection) = &mut self.connection else {
            return Failed::Broken(error.to_string());
        };
        let (verdict, code) = dialect::verdict(connection, error).await;
        let why = with_code(error, code.as_deref());
        let failed = match verdict {
            Verdict::Broken => {
                self.connection = None;
                return Failed::Broken(why);
            }
            Verdict::Closed => Failed::Closed(why),
            Verdict::Waited => Failed::Held(why, places),
            Verdict::Conflict => Failed::Conflict(why),
            Verdict::Duplicate => Failed::Duplicate(why),
            Verdict::Refused => Failed::Refused(why),
        };
        let undone = timeout(self.patience, connection.batch_execute("ROLLBACK")).await;
        if !matches!(undone, Ok(Ok(()))) {
            self.connection = None;
        }
        failed
    }

    /// Whether the server is there and takes writes, asked with one of a single row, on a new connection: the answer to a
    /// mere question may come from a server that takes none.
    pub(super) async fn ping(&mut self) -> Result<(), String> {
        self.connection = None;
        self.write_one(Room::NotAskedFor).await
    }

    /// The same on the open connection to a server that reports that it is full.
    pub(super) async fn ping_for_room(&mut self) -> Result<(), String> {
        self.write_one(Room::AskedFor).await
    }

    async fn write_one(&mut self, room: Room) -> Result<(), String> {
        self.batch += 1;
        let (name, batch) = (self.name.clone(), self.batch);
        let opened = self.connection().await;
        let connection = opened.map_err(DbError::into_reason)?;
        let write = timeout(PING_PATIENCE, async {
            dialect::begin(connection).await?;
            if room == Room::AskedFor {
                marks::ask_for_room(connection, &name).await?;
            }
            marks::commit(connection, &name, batch).await
        });
        let why = match write.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => {
                let judged = dialect::verdict(connection, &error).await;
                DbError::from_server(&error, &judged).into_text()
            }
            Err(_) => silent(PING_PATIENCE),
        };
        self.connection = None;
        Err(why)
    }

    /// The server does not answer. Closing the connection undoes what it had begun.
    fn give_up(&mut self, writes: usize) -> String {
        self.connection = None;
        let waited = self.patience;
        // Several are tried in halves.
        if writes == 1 {
            self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
        }
        silent(waited)
    }

    pub(super) async fn was_committed(&mut self) -> Result<bool, DbError> {
        let (patience, name, batch) = (self.patience, self.name.clone(), self.batch);
        let connection = self.connection().await?;
        let asked = timeout(patience, marks::was_committed(connection, &name, batch)).await;
        match asked {
            Ok(Ok(committed)) => Ok(committed),
            Ok(Err(error)) => {
                self.connection = None;
                Err(DbError::Away(error.to_string()))
            }
            Err(_) => Err(DbError::Away(self.give_up(1))),
        }
    }

    async fn beat(&mut self, boot: &BootRow) -> Result<Heartbeat, DbError> {
        let connection = self.connection().await?;
        let beat = async {
            connection.batch_execute(dialect::BEGIN).await?;
            let beat = boots::beat(connection, boot).await?;
            connection.batch_execute("COMMIT").await?;
            Ok(beat)
        };
        match beat.await {
            Ok(beat) => Ok(beat),
            Err(error) => {
                let judged = dialect::verdict(connection, &error).await;
                Err(DbError::from_server(&error, &judged))
            }
        }
    }
}

/// A connection that writes asks once what the columns hold, and again where something was refused.
async fn begin(connection: &mut Connection, making: Making) -> diesel::QueryResult<()> {
    if !connection.limits.are_read || making.measures {
        connection.limits = Limits::read(connection).await?;
    }
    connection.limits.plain = making.plain;
    connection.limits.manner = making.manner;
    dialect::begin(connection).await
}

fn silent(waited: Duration) -> String {
    format!("no answer for {} s", waited.as_secs())
}

async fn open(url: &Secret) -> Result<Connection, DbError> {
    let mut connection = connect::open(url).await?;
    match connection.batch_execute(connect::WRITES).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            let judged = dialect::verdict(&mut connection, &error).await;
            Err(DbError::from_server(&error, &judged))
        }
    }
}

impl Writer for ServerWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        async move { self.apply_all(&batch).await }.boxed_local()
    }

    fn keep_alive(&mut self) -> LocalBoxFuture<'_, ()> {
        async move {
            // A connection that is not open, or stale, is opened; where that fails the next write tries, and reports it.
            let Ok(connection) = self.connection().await else {
                return;
            };
            let answer = timeout(PING_PATIENCE, connection.batch_execute("SELECT 1")).await;
            if !matches!(answer, Ok(Ok(()))) {
                self.connection = None;
            }
        }
        .boxed_local()
    }

    fn heartbeat(&mut self, boot: &BootRow) -> LocalBoxFuture<'_, Result<Heartbeat, DbError>> {
        let boot = boot.clone();
        // One that takes longer than the time to the next is of no use, and the next needs a connection that works.
        let patience = Duration::from_millis(u64::try_from(boot.interval_ms).unwrap_or(0))
            .clamp(Duration::from_secs(1), PATIENCE);
        async move {
            let beat = timeout(patience, self.beat(&boot)).await;
            let beat = beat.unwrap_or_else(|_| {
                Err(DbError::Away(format!(
                    "no answer for {:.1} s",
                    patience.as_secs_f64()
                )))
            });
            if beat.is_err() {
                self.connection = None;
            }
            beat
        }
        .boxed_local()
    }
}
