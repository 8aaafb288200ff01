//! A Redis list, which other programs fill with `LPUSH`.
//!
//! At least once: one script moves a message from the list to a batch of this boot, whose number is never used again. The
//! message is removed from the batch when it is finished. It is named by boot, number and place, never by a position in the
//! list, never by its bytes. A daemon that finds a boot's heartbeats stopped releases that boot's batches. From then on the
//! batches are gone, and reports of the dead boot about them change nothing.
//!
//! | file | what it does |
//! | --- | --- |
//! | `scripts/`, `scripts.rs` | everything that changes keys, one step each |
//! | `list.rs` | the list: its server, its names, what is refused to it alone (`trouble.rs`) |
//! | `polling.rs`, `taken.rs`, `pollers.rs`, `wait.rs` | taking messages; what the server answers; the two pollers and the numbers of their questions; waiting |
//! | `settling.rs`, `batches.rs`, `reports.rs` | ends: noting them, the batches that are held, reporting to the server |
//! | `registration.rs`, `beat.rs`, `boot.rs` | this boot at the server, its heartbeats and orphaned batches; the answer to a heartbeat; the boot's names |
//! | `restore.rs` | a server that has lost data |
//! | `health.rs` | the task that sends heartbeats and recovers dead boots |
//! | `recovery.rs`, `leave.rs` | dead boots; the end of this one |
//! | `server.rs`, `servers.rs`, `connect.rs`, `stream.rs`, `error.rs` | the servers: connections, outages, what their errors mean |
//! | `primary.rs`, `views.rs` | the server to connect to, where Sentinels know it; why they name none |
//! | `unconsumed.rs` | lists that no daemon consumes any more |
//! | `push.rs` | what producers do, for `ctx.send` |
//! | `payloads.rs`, `envelope.rs`, `deliver.rs` | messages as the server answers them; those that have failed, or whose boot died; as consumers get them |

mod batches;
mod beat;
mod boot;
mod connect;
mod deliver;
mod envelope;
mod error;
mod health;
mod leave;
mod list;
mod payloads;
mod pollers;
mod polling;
mod primary;
mod push;
mod rate;
mod recovery;
mod registration;
mod reports;
mod restore;
mod scripts;
mod server;
mod servers;
mod settling;
mod stream;
mod taken;
#[cfg(test)]
mod tests;
mod trouble;
mod unconsumed;
mod views;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::batches::Batches;
pub(crate) use self::connect::{replica, unsuitable};
pub(crate) use self::error::Fault as RedisFault;
use self::health::Health;
use self::list::{List, slot_name};
use self::pollers::Pollers;
use self::polling::Polling;
pub(crate) use self::primary::{Sentinels, is_primary};
use self::recovery::Recoveries;
use self::registration::Registration;
use self::reports::Reports;
#[cfg(test)]
use self::server::Server;
pub(crate) use self::server::Server as RedisServer;
pub(crate) use self::servers::RedisServers;
use self::settling::Settling;
pub(crate) use self::unconsumed::UnconsumedList;
use super::{Fetched, Fetcher, Limit, Receipt, Recovery, Settled, Source, SourceError};
use crate::config::RetryRules;
use crate::db::Db;
use crate::job::Message;
use crate::membership::Ownership;
use crate::poison::{Identity, QueueName};
use crate::stop::StopListener;
use crate::store::Most;
use crate::store::rows::EntryName;

/// The configuration of a source.
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
    /// The id of this start of the daemon.
    pub(crate) boot: String,
    pub(crate) heartbeat_interval: Duration,
}

/// See the module's header.
pub(crate) struct RedisSource {
    list: Arc<List>,
    polling: Polling,
    settling: Arc<Settling>,
    registration: Arc<Registration>,
    recoveries: Arc<Recoveries>,
    health: Arc<Health>,
}

impl RedisSource {
    /// To be called inside a runtime without business code: the tasks of the source run there.
    pub(crate) fn new(config: RedisQueue) -> Arc<Self> {
        let list = Arc::new(List::new(config));
        let batches = Arc::new(Mutex::new(Batches::default()));
        let pollers = Arc::new(Pollers::default());
        let registration = Registration::new(&list, &batches, &pollers);
        let recoveries = Recoveries::new(&list, &registration, &pollers);
        let reports = Reports::new(&list, &batches, &registration, &pollers);
        Arc::new(Self {
            polling: Polling::new(&list, &pollers, &registration, &batches),
            settling: Settling::new(&list, &batches, reports),
            health: Health::new(&list, &registration, &recoveries),
            registration,
            recoveries,
            list,
        })
    }

    /// As slots name queues of this kind.
    pub(crate) fn slot_name(server: &str, key: &str) -> QueueName {
        slot_name(server, key)
    }
}

impl Source for RedisSource {
    fn open(&self) {
        self.health.open();
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
        self.polling.take_messages(most, stop).map(Ok).boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        let liveness = &self.registration.boot.liveness;
        liveness.ownership(receipt.of_redis().generation)
    }

    fn block(&self, _: &Receipt) {}

    fn identity<'a>(&'a self, message: &'a Message, _: &Receipt) -> Identity<'a> {
        // The number of the attempt is the fence: the retry after a crash of this attempt depends on it.
        self.list
            .name
            .message(&message.id, i64::from(message.attempt))
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            self.settling.settle_all(ends).await?;
            Ok(Vec::new())
        }
        .boxed()
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        self.settling.unfinished().boxed()
    }

    fn recover<'a>(&'a self, recovery: &'a Recovery) -> BoxFuture<'a, Result<(), SourceError>> {
        self.recoveries.recover_dead(recovery).boxed()
    }

    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        self.leave(within).boxed()
    }
}
