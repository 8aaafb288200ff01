//! What the daemon consists of: the plan of it, and the one place that starts every part, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};

use super::{Child, Retention, Warnings};
use crate::alert::Notifier;
use crate::alert::own::{AlertActor, OwnAlerts};
use crate::config::{QueueEntry, RetryRules, Secret, SourceConfig};
use crate::cron::{CronActor, CronConfig};
use crate::db::{Db, DbActor, Heartbeats};
use crate::delay_queue::{DelayConfig, DelayQueueActor, DelayQueueHandle};
use crate::drop_notice::GoneNotice;
use crate::http::{HttpActor, HttpConfig};
use crate::job::OwnCode;
use crate::membership::Liveness;
use crate::orders::Pauses;
use crate::own_code::OwnCodeActor;
use crate::poison::{Kind, SlotFile};
use crate::pool::{PoolActor, PoolConfig};
use crate::source::{Consumed, RedisServer};
use crate::stop::StopSignal;
use crate::store::Store;
use crate::store::rows::{BootRow, EntryName};

/// All that the children are made of; the same for one that is started and one that replaces it. A reload makes another one
/// of it, with other entries.
#[derive(Clone)]
pub(crate) struct Plan {
    /// When the process began, for the ready line.
    pub(crate) started: Instant,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) db: Db,
    pub(crate) boot: BootRow,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) data_dir: PathBuf,
    pub(crate) slots: Arc<SlotFile>,
    pub(crate) http: Arc<HttpConfig>,
    pub(crate) delay: Arc<DelayConfig>,
    pub(crate) retention: Retention,
    pub(crate) delay_queue: DelayQueueHandle,
    /// In the order of the file.
    pub(crate) pools: Vec<LiveQueue>,
    pub(crate) cron: CronConfig,
    /// What business code counts.
    pub(crate) warnings: Warnings,
    /// Where alerts go.
    pub(crate) notifier: Notifier,
    /// The daemon's own.
    pub(crate) own_alerts: OwnAlerts,
    /// Called each minute while all is well.
    pub(crate) ping: Option<Secret>,
    /// What is paused.
    pub(crate) pauses: Pauses,
    pub(crate) own_code: Vec<OwnCode>,
    pub(crate) shutdown_deadline: Duration,
    /// To know what lies where nobody consumes it: in the database,
    pub(crate) consumed: Consumed,
    /// and on Redis servers, by their names.
    pub(crate) redis: Vec<(String, Arc<RedisServer>)>,
    /// The lists that this daemon consumes, by the server.
    pub(crate) lists: BTreeMap<String, BTreeSet<String>>,
    /// For messages whose handler ended a process.
    pub(crate) queues: Vec<KnownQueue>,
    /// Said once everything has been started.
    pub(crate) hints: Vec<String>,
}

/// A live queue entry, and what its pool is started with.
#[derive(Clone)]
pub(crate) struct LiveQueue {
    /// Of no other one in this process: an entry that a reload makes another has another.
    pub(crate) id: u64,
    pub(crate) entry: QueueEntry,
    pub(crate) pool: PoolConfig,
}

impl LiveQueue {
    pub(crate) fn new(entry: QueueEntry, pool: PoolConfig) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            entry,
            pool,
        }
    }
}

/// Which entry a queue belongs to here, and its rules.
#[derive(Clone)]
pub(crate) struct KnownQueue {
    pub(crate) kind: Kind,
    /// The queue, as slots name it.
    pub(crate) source: String,
    pub(crate) entry: EntryName,
    pub(crate) rules: RetryRules,
}

impl Plan {
    pub(super) fn describe(&self, child: Child) -> String {
        match child {
            Child::Alert => "AlertActor".to_owned(),
            Child::Db => "DbActor".to_owned(),
            Child::Http => "HttpActor".to_owned(),
            Child::DelayQueue => "DelayQueueActor".to_owned(),
            Child::Pool(id) => {
                let name = self.queue(id).map_or("", |queue| &queue.entry.name);
                format!("PoolActor of queue `{name}`")
            }
            Child::Cron => "CronActor".to_owned(),
            Child::OwnCode(index) => {
                format!("OwnCodeActor of {}", self.own_code[index].place)
            }
        }
    }

    /// One of the live queues; none where a reload has taken it away.
    pub(super) fn queue(&self, id: u64) -> Option<&LiveQueue> {
        self.pools.iter().find(|queue| queue.id == id)
    }

    pub(super) fn say_ready(&self) {
        log::info!(
            "ready in {} ms; queues: {}, cron entries: {}, kinds of delayed tasks: {}",
            self.started.elapsed().as_millis(),
            self.pools.len(),
            self.cron.entries.len(),
            self.delay.handlers.len()
        );
        for hint in &self.hints {
            log::info!("{hint}");
        }
    }
}

/// The addresses, in the order in which the children are started; stopping reads it upwards.
#[derive(Clone, Default)]
pub(super) struct Children {
    /// Keeps the actor's mailbox open.
    pub(super) alert: Option<Addr<AlertActor>>,
    /// The thread of DbActor, and of each that replaces it.
    pub(super) db_arbiter: Option<ArbiterHandle>,
    /// The thread of HttpActor.
    pub(super) http_arbiter: Option<ArbiterHandle>,
    /// Keeps the actor's mailbox open.
    pub(super) http: Option<Addr<HttpActor>>,
    pub(super) delay_queue: Option<Addr<DelayQueueActor>>,
    /// By the ids of their queues, the youngest last.
    pub(super) pools: BTreeMap<u64, Addr<PoolActor>>,
    /// Pools that a reload has ended, and whose work has not.
    pub(super) retiring: BTreeMap<u64, Retiring>,
    pub(super) cron: Option<Addr<CronActor>>,
    pub(super) own_code: Vec<Addr<OwnCodeActor>>,
}

/// See [`Children::retiring`].
#[derive(Clone)]
pub(super) struct Retiring {
    pub(super) pool: Addr<PoolActor>,
    /// No other pool may begin with it before this one has ended.
    pub(super) source: SourceConfig,
}

impl Children {
    /// Every pool that may have consumers.
    pub(super) fn all_pools(&self) -> impl DoubleEndedIterator<Item = &Addr<PoolActor>> {
        let retiring = self.retiring.values().map(|retiring| &retiring.pool);
        retiring.chain(self.pools.values())
    }

    /// DbActor comes before everything else, on an Arbiter of its own: nothing that happens on the System's thread can
    /// hold up its heartbeats.
    pub(super) fn start_db(&mut self, plan: &Plan, notice: GoneNotice) {
        plan.db.set_actor(None);
        let store = Arc::clone(&plan.store);
        let heartbeats = Heartbeats {
            boot: plan.boot.clone(),
            liveness: Arc::clone(&plan.liveness),
        };
        let arbiter = self
            .db_arbiter
            .get_or_insert_with(|| Arbiter::new().handle());
        let outage = plan.db.outage();
        let addr = DbActor::start_in_arbiter(arbiter, move |_| {
            DbActor::new(store, outage, Some(heartbeats), notice)
        });
        plan.db.set_actor(Some(addr));
    }

    /// On an Arbiter of its own: no caller can hold up another actor.
    fn start_http(&mut self, plan: &Plan, stop: &StopSignal, notice: GoneNotice) {
        let (config, stop) = (Arc::clone(&plan.http), stop.listen());
        let arbiter = self
            .http_arbiter
            .get_or_insert_with(|| Arbiter::new().handle());
        let addr =
            HttpActor::start_in_arbiter(arbiter, move |_| HttpActor::new(config, stop, notice));
        self.http = Some(addr);
    }

    /// Everything that takes work, in order.
    pub(super) fn start(
        &mut self,
        plan: &Plan,
        stop: &StopSignal,
        notice: impl Fn(Child) -> GoneNotice,
    ) {
        let mut start = |child| self.start_one(plan, stop, child, notice(child));
        start(Child::DelayQueue);
        plan.pools
            .iter()
            .for_each(|queue| start(Child::Pool(queue.id)));
        start(Child::Cron);
        // The last: all that it may push to is there.
        (0..plan.own_code.len()).for_each(|index| start(Child::OwnCode(index)));
    }

    /// One child, in the place of an earlier one if there was one.
    pub(super) fn start_one(
        &mut self,
        plan: &Plan,
        stop: &StopSignal,
        child: Child,
        notice: GoneNotice,
    ) {
        match child {
            Child::Alert => {
                self.alert = Some(AlertActor::new(plan.own_alerts.clone(), notice).start());
            }
            Child::Db => self.start_db(plan, notice),
            Child::Http => self.start_http(plan, stop, notice),
            Child::DelayQueue => {
                let (db, config) = (plan.db.clone(), Arc::clone(&plan.delay));
                let addr = DelayQueueActor::start_scheduler(db, config, stop.listen(), notice);
                plan.delay_queue.set(addr.clone());
                self.delay_queue = Some(addr);
            }
            Child::Pool(id) => {
                let Some(queue) = plan.queue(id) else {
                    return;
                };
                let addr = PoolActor::new(queue.pool.clone(), stop.child(), notice).start();
                plan.http.pools.set(&queue.entry.name, &addr);
                self.pools.insert(id, addr);
            }
            Child::Cron => {
                let cron = CronActor::new(plan.cron.clone(), stop.listen(), notice);
                self.cron = Some(cron.start());
            }
            Child::OwnCode(index) => {
                let code = plan.own_code[index].clone();
                let addr = OwnCodeActor::new(code, stop.listen(), notice).start();
                put(&mut self.own_code, index, addr);
            }
        }
    }
}

/// In the place of an earlier one, or behind those that were started before it.
fn put<A: Actor>(addrs: &mut Vec<Addr<A>>, index: usize, addr: Addr<A>) {
    match addrs.get_mut(index) {
        Some(earlier) => *earlier = addr,
        None => addrs.push(addr),
    }
}
