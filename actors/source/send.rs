//! Sending to queues from in-process code.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use super::kafka::Clusters;
use super::redis::RedisServers;
use crate::config::{QueueEntry, SourceConfig};
use crate::db::Db;
use crate::store::DbError;
use crate::store::rows::NewMessage;
use crate::trace::Trace;

/// Why not everything was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No queue entry has this name.
    #[error("no queue is named `{0}`{1}")]
    Unknown(String, String),
    /// A list of Redis holds payloads and nothing else.
    #[error("queue `{0}` is a Redis list, whose messages have neither keys nor headers")]
    Bare(String),
    /// The queue's server did not take the messages, or not all of them.
    #[error("queue `{queue}` did not take all messages, {sent} were sent: {cause}")]
    Refused {
        /// The `name` of the queue entry.
        queue: String,
        /// How many were sent.
        sent: usize,
        /// The others, each by its place among the messages, from 0 on, in ascending order. To send them again doubles
        /// nothing, unless `in_doubt`.
        unsent: Vec<usize>,
        /// An answer was lost: some of `unsent` can be in the queue.
        in_doubt: bool,
        /// The server's reason, and what would help.
        cause: String,
    },
    /// The text is no idempotency key, or named another message before.
    #[error("{0}")]
    Key(String),
    /// Another process sends the message of this idempotency key at the moment, and may still fail.
    #[error(
        "another process is sending the message with the idempotency key `{0}`; whether it is sent is not known yet"
    )]
    Busy(String),
    /// The message is sent, and the database did not take that down: a repetition with this idempotency key sends it again.
    #[error(
        "queue `{queue}` has the message, and its idempotency key could not be marked as done: a repetition sends it again"
    )]
    Unmarked {
        /// The `name` of the queue entry.
        queue: String,
        /// The database's reason.
        #[source]
        cause: DbError,
    },
    /// The database did not take the messages.
    #[error("the messages could not be stored")]
    Database(#[from] DbError),
}

/// The messages of one send that did not reach their queue.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// Their places among the messages, ascending.
    pub(crate) places: Vec<usize>,
    /// Some of them may be in the queue all the same.
    pub(crate) in_doubt: bool,
    pub(crate) cause: String,
}

impl Unsent {
    /// None of these messages was sent.
    pub(crate) fn all(messages: usize, cause: String) -> Self {
        Self {
            places: (0..messages).collect(),
            in_doubt: false,
            cause,
        }
    }

    fn of(self, queue: &str, messages: usize) -> SendError {
        SendError::Refused {
            queue: queue.to_owned(),
            sent: messages - self.places.len(),
            unsent: self.places,
            in_doubt: self.in_doubt,
            cause: self.cause,
        }
    }
}

/// The sources of the queues, by the `name` of their entry. A reload changes them. Cheap to clone; clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Routes(Arc<RwLock<BTreeMap<String, SourceConfig>>>);

impl Routes {
    pub(crate) fn of(entries: &[QueueEntry]) -> Self {
        let routes = Self::default();
        routes.set(entries);
        routes
    }

    /// Sets the entries.
    pub(crate) fn set(&self, entries: &[QueueEntry]) {
        let source = |entry: &QueueEntry| (entry.name.clone(), entry.source.clone());
        *self.0.write() = entries.iter().map(source).collect();
    }

    /// The source of one queue. The shared lock is held only for the copy of a few names, not during the send.
    pub(super) fn source(&self, queue: &str) -> Result<SourceConfig, SendError> {
        let sources = self.0.read();
        sources.get(queue).cloned().ok_or_else(|| {
            let known = sources.keys().cloned().collect();
            let hint = crate::config::did_you_mean(queue, &known);
            SendError::Unknown(queue.to_owned(), hint)
        })
    }
}

/// Sends to queues by the `name` of their entry.
pub(crate) enum Sender {
    /// To the real queues.
    Queues(Box<Queues>),
    /// To a test, which reads the sent messages.
    Test(Arc<Mutex<TestSends>>),
}

/// The messages that were sent in a test.
#[derive(Default)]
pub(crate) struct TestSends {
    pub(crate) sent: Vec<(String, Bytes)>,
    /// Idempotency keys, each with the place of its message in `sent`.
    pub(super) keys: BTreeMap<String, usize>,
}

/// Sends to the real queues. A queue need not be live here: other partitions and environments may consume it.
pub(crate) struct Queues {
    pub(super) db: Db,
    pub(super) routes: Routes,
    redis: Arc<RedisServers>,
    clusters: Arc<Clusters>,
    /// A runtime without business code. Connections are opened there.
    home: Handle,
}

impl Sender {
    /// To be called inside a runtime without business code.
    pub(crate) fn new(
        db: Db,
        routes: Routes,
        clusters: Arc<Clusters>,
        redis: Arc<RedisServers>,
    ) -> Self {
        Self::Queues(Box::new(Queues {
            db,
            routes,
            redis,
            clusters,
            home: Handle::current(),
        }))
    }

    /// Returns after the messages are durable, with their ids where the queue gives ids.
    pub(crate) async fn send(
        &self,
        queue: &str,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<i64>, SendError> {
        match self {
            Self::Queues(queues) => queues.send(queue, messages).await,
            Self::Test(sent) => {
                let mut sent = sent.lock();
                let sent = &mut sent.sent;
                let first = sent.len();
                sent.extend(messages.into_iter().map(|m| (queue.to_owned(), m.payload)));
                let ids = (first..sent.len()).map(|at| i64::try_from(at + 1).unwrap_or(i64::MAX));
                Ok(ids.collect())
            }
        }
    }
}

/// Adds the handler's trace to a message that the handler sends.
pub(super) fn add_trace(message: &mut NewMessage) {
    if let Some(trace) = Trace::current() {
        trace.add_to(&mut message.headers);
    }
}

impl Queues {
    pub(super) async fn send(
        &self,
        queue: &str,
        mut messages: Vec<NewMessage>,
    ) -> Result<Vec<i64>, SendError> {
        let source = self.routes.source(queue)?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        if !matches!(source, SourceConfig::Redis { .. }) {
            messages.iter_mut().for_each(add_trace);
        }
        match source {
            SourceConfig::Table { table } => Ok(self.db.insert_messages(table, messages).await?),
            SourceConfig::Redis { key, server } => {
                if messages
                    .iter()
                    .any(|m| m.key.is_some() || !m.headers.is_empty())
                {
                    return Err(SendError::Bare(queue.to_owned()));
                }
                let payloads = messages.into_iter().map(|message| message.payload);
                self.push(queue, server, key, payloads.collect()).await?;
                Ok(Vec::new())
            }
            SourceConfig::Kafka { topic, cluster, .. } => {
                let all = messages.len();
                let produced = self.clusters.produce(&cluster, &topic, messages).await;
                produced.map_err(|unsent| unsent.of(queue, all))?;
                Ok(Vec::new())
            }
        }
    }

    async fn push(
        &self,
        queue: &str,
        server: String,
        key: String,
        payloads: Vec<Bytes>,
    ) -> Result<(), SendError> {
        let all = payloads.len();
        let refused = |sent, in_doubt, cause| {
            let places = (sent..all).collect();
            let unsent = Unsent {
                places,
                in_doubt,
                cause,
            };
            unsent.of(queue, all)
        };
        let servers = Arc::clone(&self.redis);
        // On `home`, as a neighbour may block the worker of this handler.
        let pushed = self.home.spawn(async move {
            let server = servers.get(&server).map_err(|cause| (0, false, cause))?;
            match server.push(&key, &payloads).await {
                (_, None) => Ok(()),
                // Whether a portion whose answer was lost was sent is unknown.
                (sent, Some(cause)) => Err((sent, true, cause)),
            }
        });
        match pushed.await {
            Ok(pushed) => pushed.map_err(|(sent, in_doubt, cause)| refused(sent, in_doubt, cause)),
            Err(cause) => Err(refused(0, true, cause.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RedisSettings;
    use crate::source::Inside;
    use crate::testing_support::TestDb;

    fn messages(payloads: &[&str]) -> Vec<NewMessage> {
        let message = |payload: &&str| NewMessage {
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            key: None,
            headers: Vec::new(),
        };
        payloads.iter().map(message).collect()
    }

    fn queues(db: &TestDb, url: &str, key: &str) -> Sender {
        let table = SourceConfig::Table {
            table: "orders_table".to_owned(),
        };
        let list = SourceConfig::Redis {
            key: key.to_owned(),
            server: "default".to_owned(),
        };
        let mut settings = crate::config::Settings::default();
        let redis = RedisSettings {
            url: crate::config::Secret::new(url),
        };
        settings.redis.insert("default".to_owned(), redis);
        let sources = [("orders".to_owned(), table), ("clicks".to_owned(), list)];
        Sender::Queues(Box::new(Queues {
            db: db.db.clone(),
            routes: Routes(Arc::new(RwLock::new(sources.into()))),
            redis: Arc::new(RedisServers::new(&settings)),
            clusters: Arc::new(Clusters::new(&settings.kafka, Inside::Daemon)),
            home: Handle::current(),
        }))
    }

    #[actix::test]
    async fn a_name_that_no_queue_has_is_refused_with_the_one_that_was_meant() {
        let db = TestDb::start();
        let sender = queues(&db, "redis://127.0.0.1:1", "clicks");
        let error = sender.send("ordres", messages(&["1"])).await.unwrap_err();
        assert!(
            error.to_string().contains("did you mean `orders`"),
            "{error}"
        );
        assert_eq!(
            sender
                .send("orders", messages(&["1", "2"]))
                .await
                .unwrap()
                .len(),
            2
        );
    }

    #[actix::test]
    async fn a_list_is_given_payloads_in_their_order_and_nothing_else() {
        let Some(server) = crate::servers::redis::shared() else {
            return;
        };
        let (db, key) = (TestDb::start(), server.key());
        let sender = queues(&db, &server.url(), &key);
        let numbers: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
        let all: Vec<&str> = numbers.iter().map(String::as_str).collect();
        assert_eq!(sender.send("clicks", messages(&all)).await.unwrap(), [0; 0]);
        let client = bb8_redis::redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let list = bb8_redis::redis::cmd("LRANGE")
            .arg(&key)
            .arg(0)
            .arg(-1)
            .to_owned();
        let mut found: Vec<String> = list.query_async(&mut connection).await.unwrap();
        found.reverse();
        assert_eq!(found, numbers);

        let mut keyed = messages(&["1"]);
        keyed[0].key = Some(Bytes::from("k"));
        let error = sender.send("clicks", keyed).await.unwrap_err();
        assert!(
            error.to_string().contains("neither keys nor headers"),
            "{error}"
        );
    }

    #[actix::test]
    async fn a_send_to_a_server_that_is_away_returns_the_reason() {
        let db = TestDb::start();
        let sender = queues(&db, "redis://127.0.0.1:1", "clicks");
        let error = sender.send("clicks", messages(&["1"])).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`clicks`") && text.contains("refused"),
            "{text}"
        );
    }
}
