//! Sources of messages: one trait for every kind of queue.
//!
//! Each source promises *at least once*. A message that was fetched and not settled comes back, also after a crash. Settling
//! changes nothing once the boot was judged dead and its messages were released.

mod arena;
mod clock_ahead;
mod idle_poll;
mod kafka;
mod lags;
mod receipt;
mod redis;
pub(crate) mod replayed;
mod send;
mod send_once;
mod table;
mod unconsumed;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::job::{Disposition, Message};
use crate::membership::Ownership;
use crate::poison::{Identity, Kind};
use crate::settler::Refusal;
use crate::stop::StopListener;
use crate::store::DbError;
use crate::store::rows::OutsideId;

pub(crate) use self::clock_ahead::PutOffMessages;
pub(crate) use self::idle_poll::IdleTables;
pub(crate) use self::kafka::{
    ClusterError, Clusters, Inside, KafkaSource, Reached as ReachedTopic, Subscription,
    probe as probe_kafka, reach as reach_kafka,
};
pub(crate) use self::lags::TableLags;
pub(crate) use self::receipt::{KafkaReceipt, Receipt, RedisReceipt, TableReceipt};
pub(crate) use self::redis::{
    RedisFault, RedisQueue, RedisServer, RedisServers, RedisSource, Sentinels, UnconsumedList,
    is_primary, replica as replica_redis, unsuitable as unsuitable_redis,
};
pub use self::send::SendError;
pub(crate) use self::send::{Routes, Sender, TestSends, Unsent};
pub(crate) use self::send_once::SentOnce;
pub(crate) use self::table::TableSource;
pub(crate) use self::unconsumed::{Consumed, Unconsumed, unconsumed};

/// A message and what its source must know to settle it.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Message,
    pub(crate) receipt: Receipt,
    /// An earlier attempt ended its process: it runs alone.
    pub(crate) suspect: bool,
    /// The time since which it has waited, unix milliseconds: for a row when it was due, for a record its timestamp. None
    /// where the source does not know it, and after a failed attempt.
    pub(crate) arrived_ms: Option<i64>,
}

/// Fetched messages, in their order. Each is made when the iterator reaches it, on the thread that runs it: memory that moves
/// from one thread to another costs more than all work on it. Before this is dropped, the messages that are left are to be
/// taken out and released.
pub(crate) type Fetched = Box<dyn ExactSizeIterator<Item = Delivery> + Send>;

/// Fetched messages that are made already.
pub(crate) fn made(deliveries: Vec<Delivery>) -> Fetched {
    Box::new(deliveries.into_iter())
}

/// No messages.
pub(crate) fn nothing() -> Fetched {
    Box::new(std::iter::empty())
}

/// The end of a delivery, to be made durable.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) receipt: Receipt,
    pub(crate) disposition: Disposition,
}

/// Takes out the ends with a dead letter, which is written first.
pub(crate) fn take_dead(ends: &mut Vec<Settled>) -> Vec<Settled> {
    let dead = ends.extract_if(.., |settled| {
        matches!(settled.disposition, Disposition::DeadLetter { .. })
    });
    dead.collect()
}

/// Why a call of a source failed. It may be repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The daemon's database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The queue's server failed, and the source has logged it: an outage is two log lines.
    #[error("{0}")]
    Said(String),
    /// Kafka did not answer.
    #[error("Kafka did not answer: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The member of the group has no client yet.
    #[error("there is no connection to Kafka yet")]
    NotYet,
}

impl Refusal for SourceError {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Database(cause) if cause.is_refusal())
    }
}

/// A daemon of this machine that is gone, for queues outside the daemon's database.
#[derive(Debug, Clone)]
pub(crate) struct Recovery {
    /// Its boot.
    pub(crate) boot: String,
    /// Messages whose handlers ended it.
    pub(crate) deaths: Vec<OutsideCrash>,
}

/// A message whose handler ended its process.
#[derive(Debug, Clone)]
pub(crate) struct OutsideCrash {
    /// The queue, as slots name it.
    pub(crate) source: String,
    pub(crate) id: String,
    /// The number of the attempt.
    pub(crate) attempt: u32,
    /// Whether no other message can have ended it; see [`Crash`](crate::store::rows::Crash).
    pub(crate) certain: bool,
    pub(crate) how: String,
}

/// The name, in the daemon's database, of a message of a queue outside of it. None for a message of the database.
pub(crate) fn outside(identity: &Identity<'_>) -> Option<OutsideId> {
    let kind = match identity.kind() {
        Kind::Kafka => "kafka",
        Kind::Redis => "redis",
        Kind::Queue | Kind::Delay => return None,
    };
    let id = match (identity.kind(), identity.fence()) {
        // The fence distinguishes topics of one name.
        (Kind::Kafka, fence) if fence != 0 => format!("{}@{fence:016x}", identity.id()),
        _ => identity.id().to_owned(),
    };
    Some(OutsideId {
        kind,
        source: identity.queue().to_owned(),
        id,
    })
}

/// The consumer that fetches. A source whose messages have an order gives the next ones to the consumer that has the ones
/// before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetcher {
    /// Unique among the consumers of a process.
    pub(crate) consumer: u64,
    pub(crate) streams: Streams,
    /// The most bytes of payloads, keys and headers of one fetch. The first message comes whatever its size.
    pub(crate) bytes: u32,
}

/// How many ordered streams (Kafka partitions) one fetch may mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// One: messages of a second stream would wait for those of the first, while another consumer might have time for
    /// them.
    One,
    /// Any number: their messages share a batch.
    Many,
}

/// Where the messages of a source are before a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locality {
    /// On a server. A fetch sends requests, and runs on the thread without business code, which keeps the connections.
    Remote,
    /// In this process already. A fetch runs on the thread that will run the messages.
    InProcess,
}

/// The number of consumers that a source can occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// More consumers would have no work now.
    pub(crate) useful: u32,
    /// The most consumers where the entry has no `max_progress`.
    pub(crate) ceiling: u32,
}

/// A queue. Shared by all ConsumerActors of a pool.
pub(crate) trait Source: Send + Sync {
    /// The pool begins, and may fetch from now on. A second call does nothing.
    fn open(&self);

    /// The number of consumers that it can occupy, and its changes. `None`: the number of the entry.
    fn limit(&self) -> Option<watch::Receiver<Limit>>;

    /// Why this process gets no messages although there may be some. None where nothing prevents it. Outages of servers are
    /// reported elsewhere.
    fn hindrance(&self) -> Option<String> {
        None
    }

    /// Where its messages are before a fetch.
    fn locality(&self) -> Locality {
        Locality::Remote
    }

    /// Waits for messages, and returns `max` at most. None when a stop begins. This process has the returned messages until
    /// they are settled. A fetch that is dropped has taken none.
    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>>;

    /// Whether the delivery may start now: another daemon may have taken it over.
    fn ownership(&self, receipt: &Receipt) -> Ownership;

    /// Blocks the messages behind this one where messages have an order: from here on they do not start
    /// (`Ownership::Blocked`). To be called as soon as it is known that the message runs again, as settling takes its time.
    fn block(&self, receipt: &Receipt);

    /// The identity of the message in its slot while it runs.
    fn identity<'a>(&'a self, message: &'a Message, receipt: &Receipt) -> Identity<'a>;

    /// Makes ends durable. Returns those that are to be tried again later, because another transaction has locked their
    /// messages. May be repeated after an error: each receipt counts once.
    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>>;

    /// Settles in memory whatever needs no I/O, and returns the rest. In-process sources only (see [`Locality`]).
    fn settle_now(&self, ends: Vec<Settled>) -> Vec<Settled> {
        ends
    }

    /// The number of unfinished messages, those in flight included.
    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>>;

    /// Limits the count of the lag: above this number the pool does not grow further. Sources whose count costs nothing
    /// ignore it.
    fn count_lag_to(&self, _cap: u64) {}

    /// When the message that had waited longest was due, at the last reading of the lag, unix milliseconds. None where no
    /// message waited, or the source does not know.
    fn oldest_due_ms(&self) -> Option<i64> {
        None
    }

    /// Records the crashes of a dead daemon of this machine, then releases its messages. May be repeated.
    fn recover<'a>(&'a self, _recovery: &'a Recovery) -> BoxFuture<'a, Result<(), SourceError>> {
        async { Ok(()) }.boxed()
    }

    /// The pool has ended: makes settled ends durable at the server, and releases the rest. Returns after `within` at the
    /// latest. It is no step of the stop's signal: a source serves until the last end is settled.
    fn close(&self, within: Duration) -> BoxFuture<'_, ()>;
}
