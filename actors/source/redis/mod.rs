//! A Redis list, which other people's programs fill with `LPUSH`.
//!
//! At least once: a message moves, by one script, from the list to a batch of this boot's own, which carries a number
//! that is never used again. It is removed there when it is finished, and named by boot, number and place: never by a
//! position in the list, never by its bytes. The daemon that finds a boot's heartbeats stopped releases that boot's
//! batches; from then on the batch is gone, and reports of the dead boot about it change nothing.
//!
//! | file | what it does |
//! | --- | --- |
//! | `scripts/`, `scripts.rs` | everything that changes keys, one step each |
//! | `fetch.rs`, `pollers.rs`, `wait.rs` | taking messages; the two pollers and the numbers of their questions; waiting |
//! | `settle.rs`, `batches.rs` | ends |
//! | `heartbeat.rs`, `boot.rs` | heartbeats, and orphaned batches; this boot as the server knows it |
//! | `restore.rs` | a server that has lost data |
//! | `recovery.rs`, `leave.rs` | dead boots; the end of this one |
//! | `server.rs`, `servers.rs`, `connect.rs`, `stream.rs`, `error.rs` | the servers: connections, outages, what their errors mean |
//! | `primary.rs`, `views.rs` | the server to connect to, where Sentinels know it; why they name none |
//! | `trouble.rs` | what is refused to this queue alone |
//! | `unconsumed.rs` | lists that no daemon consumes any more |
//! | `push.rs` | what producers do, for `ctx.send` |
//! | `payloads.rs`, `envelope.rs`, `deliver.rs` | messages as the server answers them; those that have failed, or whose boot died; as consumers get them |

mod batches;
mod boot;
mod connect;
mod deliver;
mod envelope;
mod error;
mod fetch;
mod heartbeat;
mod leave;
mod payloads;
mod pollers;
mod primary;
mod push;
mod rate;
mod recovery;
mod restore;
mod scripts;
mod server;
mod servers;
mod settle;
mod stream;
#[cfg(test)]
mod tests;
mod trouble;
mod unconsumed;
mod views;
mod wait;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use self::batches::Batches;
use self::boot::Boot;
pub(crate) use self::connect::{replica, unsuitable};
pub(crate) use self::error::Fault as RedisFault;
use self::pollers::Pollers;
pub(crate) use self::primary::{Sentinels, is_primary};
use self::recovery::Recoveries;
#[cfg(test)]
use self::server::Server;
pub(crate) use self::server::Server as RedisServer;
pub(crate) use self::servers::RedisServers;
use self::trouble::Trouble;
pub(crate) use self::unconsumed::UnconsumedList;
use super::{Fetched, Fetcher, Limit, Receipt, Recovery, Settled, Source, SourceError};
use crate::config::RetryRules;
use crate::db::Db;
use crate::job::Message;
use crate::membership::Ownership;
use crate::poison::{Identity, Kind, QueueName};
use crate::stop::StopListener;
use crate::store::Most;
use crate::store::rows::EntryName;

/// What a source is made of.
pub(crate) struct RedisQueue {
    pub(crate) server: Arc<server::Server>,
    /// The name of the server in the settings.
    pub(crate) server_name: String,
    /// The list.
    pub(crate) key: String,
    pub(crate) entry: EntryName,
    pub(crate) rules: RetryRules,
    pub(crate) db: Db,
    pub(crate) partition: String,
    /// This start of the daemon.
    pub(crate) boot: String,
    pub(crate) heartbeat_interval: Duration,
}

/// See the module's header.
pub(crate) struct RedisSource {
    config: RedisQueue,
    /// As slots name it.
    name: QueueName,
    home: Handle,
    me: Weak<Self>,
    boot: Boot,
    batches: Mutex<Batches>,
    pollers: Pollers,
    /// One task reports to the server at a time: each takes all that is due.
    reporting: tokio::sync::Mutex<()>,
    /// Rings when the server has something that the waiting one cannot see.
    wake: Notify,
    trouble: Trouble,
    /// A task will report the ends that wait for too long.
    ringing: AtomicBool,
    opened: AtomicBool,
    closed: AtomicBool,
    recoveries: Mutex<Recoveries>,
}

impl RedisSource {
    /// To be called inside a runtime without business code: heartbeats will live there.
    pub(crate) fn new(config: RedisQueue) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            name: Self::slot_name(&config.server_name, &config.key),
            boot: Boot::new(&config.boot, config.heartbeat_interval),
            trouble: Trouble::new(&config.entry.name),
            config,
            me: Weak::clone(me),
            batches: Mutex::default(),
            pollers: Pollers::default(),
            reporting: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            ringing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            recoveries: Mutex::default(),
            opened: AtomicBool::new(false),
            home: Handle::current(),
        })
    }

    fn server(&self) -> &server::Server {
        &self.config.server
    }

    fn queue(&self) -> &str {
        &self.config.entry.name
    }

    /// As slots name queues of this kind.
    pub(crate) fn slot_name(server: &str, key: &str) -> QueueName {
        QueueName::new(Kind::Redis, &format!("{server}/{key}"))
    }
}

impl Source for RedisSource {
    fn open(&self) {
        if !self.opened.swap(true, Ordering::AcqRel) {
            self.home.spawn(heartbeat::keep(Weak::clone(&self.me)));
        }
    }

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        None
    }

    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        let most = Most {
            count: max,
            bytes: who.bytes,
        };
        self.take_messages(most, stop).map(Ok).boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        self.boot.liveness.ownership(receipt.of_redis().generation)
    }

    fn halt(&self, _: &Receipt) {}

    fn identity<'a>(&'a self, message: &'a Message, _: &Receipt) -> Identity<'a> {
        // The attempt that runs is the fence: what comes after its death depends on it.
        self.name.message(&message.id, i64::from(message.attempt))
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            self.settle_all(ends).await?;
            Ok(Vec::new())
        }
        .boxed()
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        self.unfinished().boxed()
    }

    fn recover<'a>(&'a self, recovery: &'a Recovery) -> BoxFuture<'a, Result<(), SourceError>> {
        self.recover_dead(recovery).boxed()
    }

    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        self.leave(within).boxed()
    }
}
