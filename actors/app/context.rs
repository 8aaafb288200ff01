//! What a handler can reach: the delay queue, databases, Redis, Kafka, and the program's own state.

use std::sync::Arc;

use actix::Addr;
use bb8_redis::RedisConnectionManager;
use bytes::Bytes;
use diesel::{ConnectionError, SqliteConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection};
use futures_util::FutureExt;
use rdkafka::producer::FutureProducer;

use super::services::Services;
use crate::address::{self, NoConnection};
use crate::config::{DatabaseUrl, Settings};
use crate::delay_queue::{DelayQueueActor, Push, PushError, PushItem, PushRow, rows_to_push};
use crate::job::{BoxError, UnsharedClone};
use crate::source::SendError;
use crate::store::rows::NewMessage;

/// A connection from a pool; it goes back when it is dropped.
pub type Pooled<C> = bb8::PooledConnection<'static, <C as Database>::Manager>;

/// A kind of connection that [`Context::database`] can give.
pub trait Database: Sized + Send + 'static {
    /// What opens the connections.
    type Manager: bb8::ManageConnection<Connection = Self>;

    /// The manager for this address; `None` where it is another kind of database.
    #[doc(hidden)]
    fn manager(url: &DatabaseUrl) -> Option<Self::Manager>;
}

impl Database for AsyncMysqlConnection {
    type Manager = AsyncDieselConnectionManager<Self>;

    fn manager(url: &DatabaseUrl) -> Option<Self::Manager> {
        match url {
            DatabaseUrl::Mysql(url) => Some(mysql(url.expose())),
            _ => None,
        }
    }
}

/// As `address::mysql` opens them.
fn mysql(url: &str) -> AsyncDieselConnectionManager<AsyncMysqlConnection> {
    let mut config = ManagerConfig::default();
    config.custom_setup =
        Box::new(|url| async move { address::mysql::connect(url).await.map_err(bad) }.boxed());
    AsyncDieselConnectionManager::new_with_config(url, config)
}

/// As `address::postgres` opens them.
fn postgres(url: &str) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    let mut config = ManagerConfig::default();
    config.custom_setup =
        Box::new(|url| async move { address::postgres::connect(url).await.map_err(bad) }.boxed());
    AsyncDieselConnectionManager::new_with_config(url, config)
}

fn bad(cause: NoConnection) -> ConnectionError {
    ConnectionError::BadConnection(cause.to_string())
}

impl Database for AsyncPgConnection {
    type Manager = AsyncDieselConnectionManager<Self>;

    fn manager(url: &DatabaseUrl) -> Option<Self::Manager> {
        match url {
            DatabaseUrl::Postgres(url) => Some(postgres(url.expose())),
            _ => None,
        }
    }
}

impl Database for SyncConnectionWrapper<SqliteConnection> {
    type Manager = AsyncDieselConnectionManager<Self>;

    fn manager(url: &DatabaseUrl) -> Option<Self::Manager> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                Some(AsyncDieselConnectionManager::new(path.to_string_lossy()))
            }
            _ => None,
        }
    }
}

/// What a handler gets beside its job: the same in consumers, delayed tasks, cron processes and own code. Cheap to clone.
pub struct Context<S = ()> {
    parts: Arc<Parts<S>>,
}

struct Parts<S> {
    services: Arc<Services>,
    state: Arc<S>,
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
        }
    }
}

impl<S: Send + Sync + 'static> UnsharedClone for Context<S> {
    fn unshared_clone(&self) -> Self {
        let Parts { services, state } = &*self.parts;
        let parts = Parts {
            services: Arc::clone(services),
            state: Arc::clone(state),
        };
        Self {
            parts: Arc::new(parts),
        }
    }
}

impl<S> Context<S> {
    pub(crate) fn new(services: Arc<Services>, state: S) -> Self {
        let state = Arc::new(state);
        Self {
            parts: Arc::new(Parts { services, state }),
        }
    }

    fn services(&self) -> &Services {
        &self.parts.services
    }

    /// The program's own state.
    pub fn state(&self) -> &S {
        &self.parts.state
    }

    /// The settings of `etc/{env}.json`.
    pub fn settings(&self) -> &Settings {
        &self.services().settings
    }

    /// The address of DelayQueueActor, for `ctx.delay_queue().send(Push(items)).await??`.
    ///
    /// To be asked for each time: the actor behind it may be another one later.
    ///
    /// # Panics
    ///
    /// Never in a handler or own code: the actor is started before any of them.
    #[expect(
        clippy::expect_used,
        reason = "handlers are called after the actor was started"
    )]
    pub fn delay_queue(&self) -> Addr<DelayQueueActor> {
        self.services()
            .delay_queue
            .get()
            .expect("DelayQueueActor is started before any handler")
    }

    /// Pushes delayed tasks; answers their ids after they are durable. Called in a handler whose job has a [`Trace`](crate::Trace)
    /// the tasks have it too.
    ///
    /// # Errors
    ///
    /// When an item is not right (then none was taken), or the database did not take them.
    pub async fn push(&self, items: impl Into<Vec<PushItem>>) -> Result<Vec<i64>, PushError> {
        let items = items.into().into_iter().map(PushItem::traced);
        self.delay_queue().send(Push(items.collect())).await?
    }

    /// The rows of delayed tasks, for an insert in a transaction of your own: the tasks come into being with what else it
    /// writes, or not at all. The items are checked as [`push`](Self::push) checks them, and `delay_time` counts from now.
    ///
    /// The transaction must be one of the daemon's own database: name its address in the settings' `databases` too. From
    /// its commit on the daemon sees the rows within a quarter of a second. On MySQL, the others differ in the type of the
    /// connection only:
    ///
    /// ```
    /// use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl};
    /// use simplest_script::{Context, JobResult, Message, PushItem, delay_queue_log};
    ///
    /// async fn order(message: Message, ctx: Context) -> JobResult {
    ///     let rows = ctx.rows_to_push([PushItem {
    ///         exec_cmd: "remind".to_owned(),
    ///         params: message.id,
    ///         delay_time: 3600,
    ///         ..PushItem::default()
    ///     }])?;
    ///     let mut shop = ctx.database::<AsyncMysqlConnection>("shop").await?;
    ///     shop.transaction(async |shop| {
    ///         diesel::sql_query("UPDATE orders SET paid = 1").execute(shop).await?;
    ///         let insert = diesel::insert_into(delay_queue_log::table).values(&rows);
    ///         insert.execute(shop).await?;
    ///         Ok::<_, diesel::result::Error>(())
    ///     })
    ///     .await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// On PostgreSQL:
    ///
    /// ```
    /// # use diesel_async::{AsyncPgConnection, RunQueryDsl};
    /// # use simplest_script::{PushRow, delay_queue_log};
    /// async fn insert(shop: &mut AsyncPgConnection, rows: &[PushRow]) -> diesel::QueryResult<usize> {
    ///     let insert = diesel::insert_into(delay_queue_log::table).values(rows);
    ///     insert.execute(shop).await
    /// }
    /// ```
    ///
    /// On SQLite, where a blocking connection is as good:
    ///
    /// ```
    /// # use diesel::{RunQueryDsl, SqliteConnection};
    /// # use simplest_script::{PushRow, delay_queue_log};
    /// fn insert(shop: &mut SqliteConnection, rows: &[PushRow]) -> diesel::QueryResult<usize> {
    ///     let insert = diesel::insert_into(delay_queue_log::table).values(rows);
    ///     insert.execute(shop)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When an item is not right: none of the list may be inserted then.
    pub fn rows_to_push(&self, items: impl Into<Vec<PushItem>>) -> Result<Vec<PushRow>, PushError> {
        let items: Vec<PushItem> = items.into().into_iter().map(PushItem::traced).collect();
        rows_to_push(&items, &self.services().pushable)
    }

    /// Sends messages to the queue whose entry has this `name`, live here or not: rows of a table, elements of a Redis list,
    /// or records of a Kafka topic. Answers after they are stored: the ids of a `table` queue's rows, else none.
    ///
    /// # Errors
    ///
    /// When there is no such queue, or its server did not take the messages.
    pub async fn send<P: Into<Bytes>>(
        &self,
        queue: &str,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Vec<i64>, SendError> {
        let message = |payload: P| NewMessage {
            payload: payload.into(),
            key: None,
            headers: Vec::new(),
        };
        let messages = payloads.into_iter().map(message).collect();
        self.services().sender.send(queue, messages).await
    }

    /// Sends one message under an idempotency key: a repetition with the same key and the same payload sends nothing more, and is
    /// answered like the first one; another payload or queue with this key is refused. For a `table` queue that is exact: the id of
    /// the row. For Redis and Kafka, which answer no id, the key is claimed in the daemon's database before the message is sent and
    /// marked as done after it: where the process dies in between, or an answer is lost, a repetition sends the message again, so
    /// at least once. Records of Kafka carry the key as the header `idempotency-key`. Keys are kept for `idempotency_retention`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and where the key named another message before.
    pub async fn send_once<P: Into<Bytes>>(
        &self,
        queue: &str,
        idempotency_key: &str,
        payload: P,
    ) -> Result<Option<i64>, SendError> {
        let message = NewMessage {
            payload: payload.into(),
            key: None,
            headers: Vec::new(),
        };
        let sender = &self.services().sender;
        let sent = sender.send_once(queue, idempotency_key, message).await?;
        Ok(sent.id)
    }

    /// A connection to the database of this name in the settings' `databases`.
    ///
    /// # Errors
    ///
    /// When there is no such database, it is of another kind, or it does not answer.
    pub async fn database<C: Database>(&self, name: &str) -> Result<Pooled<C>, BoxError> {
        self.services().database::<C>(name).await
    }

    /// A connection to the server of this name in the settings' `redis`.
    ///
    /// # Errors
    ///
    /// When there is no such server, or it does not answer.
    pub async fn redis(
        &self,
        name: &str,
    ) -> Result<bb8::PooledConnection<'static, RedisConnectionManager>, BoxError> {
        self.services().redis(name).await
    }

    /// A producer for the cluster of this name in the settings' `kafka`; one is made at the first call.
    ///
    /// # Errors
    ///
    /// When there is no such cluster, or its settings do not make a producer.
    pub fn kafka(&self, name: &str) -> Result<FutureProducer, BoxError> {
        self.services().kafka(name)
    }

    /// Whether the daemon is stopping: long work should come to an end.
    pub fn stopping(&self) -> bool {
        self.services().stop.begun()
    }

    /// Waits until the daemon is stopping. For own code ([`App::spawn`](crate::App::spawn)), beside what it waits for
    /// else; in a cron process it never comes.
    ///
    /// ```
    /// # use simplest_script::{Context, JobResult};
    /// async fn own_code(ctx: Context) -> JobResult {
    ///     # let server = std::future::pending::<()>();
    ///     tokio::select! {
    ///         () = server => {}
    ///         () = ctx.until_stopping() => {}
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn until_stopping(&self) {
        self.services().stop.listen().quiet().await;
    }

    /// Waits for a future in a blocking handler, or in a thread of your own.
    ///
    /// # Panics
    ///
    /// In an async handler or own code, which can `await` instead.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.services().home.block_on(future)
    }
}
