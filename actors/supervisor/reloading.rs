//! The life of a reload: the files are read, and the daemon becomes what they describe.
//!
//! One after another, as the orders came. The files are read away from this thread. With any fault nothing has been touched:
//! all that is new is made before anything is started or stopped. Then an entry that went, or is another now, takes nothing
//! more, and its pool ends when what it runs has ended, however long that takes; a pool for the same queue begins after it.
//! So no message is handled by two pools, and no two members of one process are in a group of Kafka.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::children::Retiring;
use super::{Child, KnownQueue, LiveQueue, Plan, SupervisorActor, unconsumed};
use crate::config::{Config, Fingerprint};
use crate::cron::{Renew, Renewed};
use crate::pool::{Retire, TIME_TO_LEAVE, Tune};
use crate::reload::{Origin, Outcome, Reload, ReloadReport};
use crate::source::Consumed;
use crate::store::write::Audit;

/// The three files, and what is made of them. Implemented where the handlers are known.
pub(crate) trait Files {
    /// Reads them. To be called where waiting holds up nobody.
    fn reader(&self) -> Box<dyn FnOnce() -> Reading + Send>;

    /// What they hold, unread. To be called where waiting holds up nobody.
    fn printer(&self) -> Box<dyn FnOnce() -> Fingerprint + Send>;

    /// What is to be so, seen from what is so. Nothing has changed where it fails: then why, a fault a line.
    fn renew(&self, config: Config, plan: &Plan) -> Result<Renewal, String>;
}

/// What was read.
pub(crate) struct Reading {
    pub(crate) print: Fingerprint,
    /// Or all faults.
    pub(crate) config: Result<Config, Vec<String>>,
}

/// What a reload makes so.
pub(crate) struct Renewal {
    /// All that are live from now on. Those that stay have the ids that they had.
    pub(crate) pools: Vec<LiveQueue>,
    /// New settings for the pools that stay.
    pub(crate) tunes: Vec<(u64, Tune)>,
    pub(crate) cron: Renewed,
    pub(crate) queues: Vec<KnownQueue>,
    pub(crate) lists: BTreeMap<String, BTreeSet<String>>,
    pub(crate) consumed: Consumed,
    /// Whether the files are watched from now on.
    pub(crate) on_change: bool,
    /// The configuration of the files, without the changes that need a restart.
    pub(crate) config: Arc<Config>,
    pub(crate) report: ReloadReport,
}

/// The orders that wait for their turn.
#[derive(Default)]
pub(super) struct Reloads {
    waiting: VecDeque<(Origin, oneshot::Sender<ReloadReport>)>,
    is_under_way: bool,
}

impl Reloads {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_under_way
    }

    /// The daemon stops: nobody waits for a turn that does not come.
    pub(super) fn refuse_all(&mut self) {
        for (_, reply) in self.waiting.drain(..) {
            // The caller may be gone.
            let _ = reply.send(ReloadReport::stopping());
        }
    }
}

impl SupervisorActor {
    pub(super) fn order_reload(
        &mut self,
        origin: Origin,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<ReloadReport> {
        let (reply, answer) = oneshot::channel();
        self.reloads.waiting.push_back((origin, reply));
        match self.stop.begun() {
            true => self.reloads.refuse_all(),
            false => self.next_reload(ctx),
        }
        answer
    }

    /// Those that come during the start wait for its end.
    pub(super) fn next_reload(&mut self, ctx: &mut Context<Self>) {
        if self.reloads.is_under_way || !self.is_started {
            return;
        }
        let Some((origin, reply)) = self.reloads.waiting.pop_front() else {
            return;
        };
        let Some(files) = self.files.clone() else {
            // Only a daemon of a test has none.
            let _ = reply.send(ReloadReport::refused("there are no files to be read"));
            return;
        };
        self.reloads.is_under_way = true;
        let reading = actix_rt::task::spawn_blocking(files.reader());
        ctx.spawn(reading.into_actor(self).map(move |reading, actor, ctx| {
            let report = match (actor.stop.begun(), reading) {
                (true, _) => ReloadReport::stopping(),
                (false, Ok(reading)) => {
                    actor.watch.was_read(reading.print);
                    match reading.config {
                        Ok(config) => actor.take_over(config, ctx),
                        Err(faults) => ReloadReport::refused(&faults.join("\n")),
                    }
                }
                (false, Err(cause)) => {
                    ReloadReport::refused(&format!("the files cannot be read: {cause}"))
                }
            };
            actor.record(&origin, &report);
            let _ = reply.send(report);
            actor.reloads.is_under_way = false;
            actor.next_reload(ctx);
        }));
    }

    fn take_over(&mut self, config: Config, ctx: &mut Context<Self>) -> ReloadReport {
        let Some(files) = self.files.clone() else {
            return ReloadReport::refused("there are no files to be read");
        };
        match files.renew(config, &self.plan) {
            Ok(renewal) => self.renew(renewal, ctx),
            Err(faults) => ReloadReport::refused(&faults),
        }
    }

    fn renew(&mut self, renewal: Renewal, ctx: &mut Context<Self>) -> ReloadReport {
        let before = Arc::clone(&self.plan);
        let mut plan = Plan::clone(&before);
        plan.pools = renewal.pools;
        plan.cron.entries = renewal.cron.entries;
        plan.queues = renewal.queues;
        plan.lists = renewal.lists;
        plan.consumed = renewal.consumed;
        self.plan = Arc::new(plan);
        self.plan.http.files.set(renewal.config);
        self.publish();
        for queue in before.pools.iter() {
            if self.plan.queue(queue.id).is_none() {
                self.retire(queue, ctx);
            }
        }
        for (id, tune) in renewal.tunes {
            // One that died has the new limits when it is replaced.
            if let Some(pool) = self.children.pools.get(&id) {
                pool.do_send(tune);
            }
        }
        self.start_missing(ctx);
        for (_, entry) in &renewal.cron.changed {
            entry.publish_facts();
        }
        if let Some(cron) = &self.children.cron {
            cron.do_send(Renew(self.plan.cron.entries.clone()));
        }
        self.is_watching = renewal.on_change;
        renewal.report
    }

    /// What people see is of the entries that are live now.
    fn publish(&self) {
        let (http, pools) = (&self.plan.http, &self.plan.pools);
        let works = || pools.iter().map(|queue| &queue.pool.work);
        let states = works().map(|work| Arc::clone(&work.state)).collect();
        let cron = self.plan.cron.entries.iter();
        http.state
            .replace(states, cron.map(|entry| Arc::clone(&entry.state)).collect());
        let sources = works().map(|work| (Arc::clone(&work.queue), Arc::clone(&work.source)));
        *http.sources.write() = sources.collect();
        self.plan.pauses.publish(&http.state);
    }

    /// Its pool ends when what it runs has ended.
    fn retire(&mut self, queue: &LiveQueue, ctx: &mut Context<Self>) {
        self.plan.http.pools.remove(&queue.entry.name);
        // It has none where it waits for one before it.
        let Some(pool) = self.children.pools.remove(&queue.id) else {
            return;
        };
        let (id, name) = (queue.id, queue.entry.name.clone());
        let source = Arc::clone(&queue.pool.work.source);
        let retiring = Retiring {
            pool: pool.clone(),
            source: queue.entry.source.clone(),
        };
        self.children.retiring.insert(id, retiring);
        let retire = async move {
            if pool.send(Retire).await.is_err() {
                // It died. Its consumers end by themselves, and its source must not go on without it.
                source.close(TIME_TO_LEAVE).await;
            }
        };
        ctx.spawn(retire.into_actor(self).map(move |(), actor, ctx| {
            log::info!("queue `{name}`: what it ran before the reload has ended");
            actor.children.retiring.remove(&id);
            actor.start_missing(ctx);
            if actor.children.retiring.is_empty() && !actor.stop.begun() {
                // What is left of an entry that went lies where nobody consumes it.
                actix_rt::spawn(unconsumed::report(Arc::clone(&actor.plan)));
            }
        }));
    }

    /// Starts each pool that has no actor yet, unless another pool still has its queue.
    fn start_missing(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let plan = Arc::clone(&self.plan);
        for queue in &plan.pools {
            let mut retiring = self.children.retiring.values();
            let is_taken = retiring.any(|before| before.source == queue.entry.source);
            if !is_taken && !self.children.pools.contains_key(&queue.id) {
                let child = Child::Pool(queue.id);
                self.start_child(child, ctx);
            }
        }
    }

    /// A line in the log, and a row of the audit where a person ordered it.
    fn record(&self, origin: &Origin, report: &ReloadReport) {
        let summary = report.summary();
        match report.outcome {
            Outcome::Refused => {
                log::error!("the configuration is not reloaded ({origin}): {summary}");
                for fault in &report.faults {
                    log::error!("{fault}");
                }
            }
            Outcome::Stopping => log::info!("reload ({origin}): {summary}"),
            Outcome::Applied | Outcome::Unchanged if report.needs_restart.is_empty() => {
                log::info!("the configuration is reloaded ({origin}): {summary}");
            }
            Outcome::Applied | Outcome::Unchanged => {
                log::warn!("the configuration is reloaded ({origin}): {summary}");
            }
        }
        if let Origin::Person(who) = origin {
            self.write_down(who.clone(), summary);
        }
    }

    fn write_down(&self, ordered_by: String, result: String) {
        let db = self.plan.db.clone();
        let identity = &self.plan.http.state.identity;
        let order = crate::store::rows::AuditRow {
            environment: identity.environment.clone(),
            ordered_by,
            action: "reload",
            target: format!("configuration of partition {}", identity.partition),
            result,
        };
        // It waits for a database that is away, and the reload does not.
        actix_rt::spawn(async move {
            if let Err(cause) = db.write(Audit(order)).await {
                log::error!("a reload that was ordered has no row in `audit`: {cause}");
            }
        });
    }
}

impl Handler<Reload> for SupervisorActor {
    type Result = ResponseFuture<ReloadReport>;

    fn handle(&mut self, Reload { origin }: Reload, ctx: &mut Self::Context) -> Self::Result {
        let answer = self.order_reload(origin, ctx);
        Box::pin(async move { answer.await.unwrap_or_else(|_| ReloadReport::stopping()) })
    }
}
