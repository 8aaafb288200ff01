//! A connection that writes: batches in one transaction each, and heartbeats.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, timeout};

use super::apply::{Stopped, apply};
use super::dialect::{self, Connection};
use super::{boots, connect, marks};
use crate::config::Secret;
use crate::db::error::DbError;
use crate::db::rows::{BootRow, Heartbeat};
use crate::db::store::{Applied, Writer};
use crate::db::verdict::Verdict;
use crate::db::write::{Write, Written};

/// A transaction that takes longer is given up: the server hangs, or the way to it is cut. Ours take milliseconds. After
/// each one that was given up the next may take twice as long, up to the longest: it may be the work.
const PATIENCE: Duration = Duration::from_secs(15);
const LONGEST_PATIENCE: Duration = Duration::from_secs(240);
/// Deadlocks and collisions are tried again at once, so often; then later.
const TRIES: u32 = 8;
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
    unsure: Option<Vec<Written>>,
    patience: Duration,
}

/// Why a transaction did not happen, or may not have.
enum Failed {
    /// Nothing is written; a later try may succeed.
    Away(DbError),
    /// Nothing is written; the next try may succeed.
    Conflict(DbError),
    /// Nothing is written: these writes waited for what another transaction has locked, for as long as one may wait.
    Held(DbError, Vec<usize>),
    /// Nothing is written, and a write in it is the reason.
    Refused(DbError),
    /// The answer to the commit was lost.
    Unsure(DbError, Vec<Written>),
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
        })
    }

    async fn connection(&mut self) -> Result<&mut Connection, DbError> {
        let fresh = self.last_used.elapsed() < STALE;
        let connection = match self.connection.take().filter(|_| fresh) {
            Some(connection) => connection,
            None => open(&self.url).await?,
        };
        self.last_used = Instant::now();
        Ok(self.connection.insert(connection))
    }

    /// All in one transaction. If one write is refused, halves of the batch are, each in its own, until the refused one
    /// stands alone. What waits for somebody's lock is left out, and the others are tried again without it.
    async fn apply_all(&mut self, batch: &[Write]) -> Applied {
        let mut applied = Applied::none_of(batch.len());
        let mut first = 0;
        if let Some(kept) = self.unsure.take() {
            match self.was_committed().await {
                Ok(true) => {
                    first = kept.len();
                    applied.answer(0..first, kept);
                }
                Ok(false) => {}
                Err(cause) => {
                    self.unsure = Some(kept);
                    return applied.unsure(cause);
                }
            }
        }
        // Kinds of writes of which one waited. When a second one does it is no single row: each of them would wait as long.
        let mut locked = HashSet::new();
        // A stack, the next portion on top: places in the batch, in their order.
        let mut portions: Vec<Vec<usize>> = vec![(first..batch.len()).collect()];
        while let Some(portion) = portions.pop() {
            if portion.is_empty() {
                continue;
            }
            let apart;
            let writes = match portion.as_slice() {
                [first, ..] if portion.last() == Some(&(first + portion.len() - 1)) => {
                    &batch[*first..first + portion.len()]
                }
                places => {
                    apart = places
                        .iter()
                        .map(|at| batch[*at].clone())
                        .collect::<Vec<_>>();
                    &apart
                }
            };
            match self.transaction(writes).await {
                Ok(written) => applied.answer(portion, written),
                Err(Failed::Held(cause, places)) => {
                    let kinds: Vec<_> = places
                        .iter()
                        .map(|place| discriminant(&batch[portion[*place]]))
                        .collect();
                    let (again, new): (Vec<_>, Vec<_>) =
                        kinds.into_iter().partition(|kind| locked.contains(kind));
                    locked.extend(new);
                    let (held, others) = split(portion, |place, at| {
                        places.contains(&place) || again.contains(&discriminant(&batch[at]))
                    });
                    applied.hold(held, &cause);
                    portions.push(others);
                }
                Err(Failed::Refused(_) | Failed::Conflict(_)) if portion.len() > 1 => {
                    let (former, latter) = portion.split_at(portion.len() / 2);
                    portions.extend([latter.to_vec(), former.to_vec()]);
                }
                Err(Failed::Refused(cause)) => applied.refuse(portion, &cause),
                Err(Failed::Conflict(cause)) => applied.hold(portion, &cause),
                Err(Failed::Away(cause)) => return applied.away(cause),
                Err(Failed::Unsure(cause, written)) => {
                    self.unsure = Some(written);
                    return applied.unsure(cause);
                }
            }
        }
        applied
    }

    async fn transaction(&mut self, writes: &[Write]) -> Result<Vec<Written>, Failed> {
        let mut tries = 1;
        loop {
            match self.try_transaction(writes).await {
                Err(Failed::Conflict(_)) if tries < TRIES => {
                    tries += 1;
                    // Two that collided must not do so again in step.
                    let pause = Duration::from_millis(fastrand::u64(0..(2 << tries)));
                    tokio::time::sleep(pause).await;
                }
                // What collides each time collides with itself, or with what will stay.
                Err(Failed::Conflict(cause)) if dialect::is_unique_violation(&cause) => {
                    return Err(Failed::Refused(cause));
                }
                done => return done,
            }
        }
    }

    async fn try_transaction(&mut self, writes: &[Write]) -> Result<Vec<Written>, Failed> {
        let (patience, name) = (self.patience, self.name.clone());
        self.batch += 1;
        let batch = self.batch;
        let connection = self.connection().await.map_err(Failed::Away)?;
        let all = || (0..writes.len()).collect();
        let begun = timeout(patience, async {
            let begun = dialect::begin(connection).await;
            begun.map_err(|error| Stopped {
                error,
                places: all(),
            })?;
            apply(connection, writes).await
        });
        let written = match begun.await {
            Ok(Ok(written)) => written,
            Ok(Err(Stopped { error, places })) => return Err(self.roll_back(&error, places).await),
            Err(_) => return Err(Failed::Away(self.give_up())),
        };
        // From here on the server may commit without our hearing of it.
        match timeout(patience, marks::commit(connection, &name, batch)).await {
            Ok(Ok(())) => {
                self.patience = PATIENCE;
                Ok(written)
            }
            Ok(Err(error)) => match self.roll_back(&error, all()).await {
                Failed::Away(cause) => Err(Failed::Unsure(cause, written)),
                known => Err(known),
            },
            Err(_) => Err(Failed::Unsure(self.give_up(), written)),
        }
    }

    /// After an error that the server told the connection is as good as before; after any other it is dropped.
    async fn roll_back(&mut self, error: &diesel::result::Error, places: Vec<usize>) -> Failed {
        let cause = DbError::from_server(error, dialect::verdict(error));
        let failed = match dialect::verdict(error) {
            Verdict::Away => {
                self.connection = None;
                return Failed::Away(cause);
            }
            Verdict::Conflict if dialect::is_long_wait(&cause) => Failed::Held(cause, places),
            Verdict::Conflict => Failed::Conflict(cause),
            Verdict::Refused => Failed::Refused(cause),
        };
        if let Some(connection) = &mut self.connection {
            let undone = timeout(self.patience, connection.batch_execute("ROLLBACK")).await;
            if !matches!(undone, Ok(Ok(()))) {
                self.connection = None;
            }
        }
        failed
    }

    /// The server does not answer. Closing the connection undoes what it had begun.
    fn give_up(&mut self) -> DbError {
        self.connection = None;
        let waited = self.patience;
        self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
        DbError::Away(format!("no answer for {} s", waited.as_secs()))
    }

    async fn was_committed(&mut self) -> Result<bool, DbError> {
        let (patience, name, batch) = (self.patience, self.name.clone(), self.batch);
        let connection = self.connection().await?;
        let asked = timeout(patience, marks::was_committed(connection, &name, batch)).await;
        match asked {
            Ok(Ok(committed)) => Ok(committed),
            Ok(Err(error)) => {
                self.connection = None;
                Err(DbError::Away(error.to_string()))
            }
            Err(_) => Err(self.give_up()),
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
        beat.await
            .map_err(|error| DbError::from_server(&error, dialect::verdict(&error)))
    }
}

/// Those for which it holds, by their place in the portion and in the batch, and the others.
fn split(portion: Vec<usize>, holds: impl Fn(usize, usize) -> bool) -> (Vec<usize>, Vec<usize>) {
    let (apart, others): (Vec<_>, Vec<_>) = portion
        .into_iter()
        .enumerate()
        .partition(|(place, at)| holds(*place, *at));
    let ats = |list: Vec<(usize, usize)>| list.into_iter().map(|(_, at)| at).collect();
    (ats(apart), ats(others))
}

async fn open(url: &Secret) -> Result<Connection, DbError> {
    let mut connection = connect::open(url).await?;
    let set = connection.batch_execute(connect::WRITES).await;
    set.map_err(|error| DbError::from_server(&error, dialect::verdict(&error)))?;
    Ok(connection)
}

impl Writer for ServerWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        async move { self.apply_all(&batch).await }.boxed_local()
    }

    fn keep_alive(&mut self) -> LocalBoxFuture<'_, ()> {
        async move {
            // What is not open, or stale, is opened; where that fails the next write tries, and tells.
            let Ok(connection) = self.connection().await else {
                return;
            };
            let said = timeout(PING_PATIENCE, connection.batch_execute("SELECT 1")).await;
            if !matches!(said, Ok(Ok(()))) {
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
