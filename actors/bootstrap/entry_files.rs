//! The three files, read again, and what a reload makes of them.
//!
//! Entries are compared by what they say, not by how it is written. What belongs to the whole daemon (the settings, but for
//! `reload_on_change`) stays as it was at the start, and is named as needing another one; so is an entry that asks for a
//! server whose settings are others since then.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::children::{ChildConfigs, facts_of, live_crontab};
use super::failure::Failure;
use super::open;
use super::plan::all_lists;
use super::sources::Sources;
use crate::config::{
    Commands, Config, Fingerprint, Places, QueueEntry, Settings, SourceConfig, load,
    tables_of_other_partitions,
};
use crate::cron::{LiveEntry, Renewed};
use crate::job::Consumer;
use crate::pool::Tune;
use crate::reload::{Outcome, ReloadReport};
use crate::source::{Consumed, Routes};
use crate::state::QueueState;
use crate::supervisor::{Files, LiveQueue, Plan, Reading, Renewal};

/// See the module's header.
pub(crate) struct EntryFiles {
    pub(crate) places: Places,
    pub(crate) commands: Commands,
    pub(crate) consumers: BTreeMap<String, Consumer>,
    pub(crate) routes: Routes,
    pub(super) children: ChildConfigs,
    pub(crate) sources: Sources,
}

impl Files for EntryFiles {
    fn reader(&self) -> Box<dyn FnOnce() -> Reading + Send> {
        let (places, commands) = (self.places.clone(), self.commands.clone());
        Box::new(move || Reading {
            // Before they are read: what is written meanwhile is a change.
            print: Fingerprint::of(&places),
            config: load(&places, &commands).map_err(|report| {
                let faults = report.faults().iter().map(ToString::to_string);
                faults.chain(open::hints_of(&places)).collect()
            }),
        })
    }

    fn printer(&self) -> Box<dyn FnOnce() -> Fingerprint + Send> {
        let places = self.places.clone();
        Box::new(move || Fingerprint::of(&places))
    }

    fn renew(&self, mut config: Config, plan: &Plan) -> Result<Renewal, String> {
        let mut report = ReloadReport::default();
        let begun = &self.children.config.settings;
        let differing = begun.differing(&config.settings).into_iter();
        report.needs_restart = differing.map(|key| format!("`{key}`")).collect();
        self.leave_to_a_restart(&mut config, plan, &mut report);

        let mut pools = Vec::new();
        let mut tunes = Vec::new();
        let mut facts = Vec::new();
        let mut limits = Vec::new();
        for entry in config.live_queues() {
            let before = plan
                .pools
                .iter()
                .find(|queue| queue.entry.name == entry.name);
            let (queue, change) = match before {
                None => (self.started(entry, None)?, Change::Came),
                Some(before) => self.renewed(before, entry)?,
            };
            match change {
                Change::None => {}
                Change::Came => report.came.push(format!("queue `{}`", entry.name)),
                Change::Tuned(what) | Change::Replaced(what) => {
                    facts.push((Arc::clone(&queue.pool.work.state), facts_of(entry)));
                    limits.push((Arc::clone(&queue.pool.work.rate), entry.rate_limit));
                    report
                        .changed
                        .push(format!("queue `{}` ({what})", entry.name));
                }
            }
            if before.is_some_and(|before| before.id == queue.id && before.entry != queue.entry) {
                tunes.push((queue.id, tune_of(entry)));
            }
            pools.push(queue);
        }
        let is_live = |name: &str| pools.iter().any(|queue| queue.entry.name == name);
        let went = plan
            .pools
            .iter()
            .filter(|queue| !is_live(&queue.entry.name));
        report.went = went
            .map(|queue| format!("queue `{}`", queue.entry.name))
            .collect();
        let cron = LiveEntry::renewed(live_crontab(&config), &plan.cron.entries);
        name_cron(&cron, &mut report);
        report.outcome = match report.has_changes() || !report.needs_restart.is_empty() {
            true => Outcome::Applied,
            false => Outcome::Unchanged,
        };

        // Nothing fails from here on.
        for (state, facts) in facts {
            state.set_facts(facts);
        }
        for (rate, limit) in limits {
            rate.set(limit);
        }
        self.routes.set(&config.queues);
        self.children.targets.set(&config.queues);
        self.sources.keep(pools.iter().map(|queue| &queue.entry));
        let others = tables_of_other_partitions(&self.places);
        Ok(Renewal {
            queues: pools
                .iter()
                .flat_map(|queue| self.sources.known(&queue.entry))
                .collect(),
            lists: all_lists(&config),
            consumed: Consumed::of(&config, others),
            on_change: config.settings.reload_on_change,
            pools,
            tunes,
            cron,
            config: Arc::new(config),
            report,
        })
    }
}

/// What became of an entry that is live.
enum Change {
    None,
    Came,
    /// Its pool gets the new settings, and goes on.
    Tuned(String),
    /// Another pool follows.
    Replaced(String),
}

impl EntryFiles {
    /// Entries that ask for a server which this daemon knows otherwise, or not at all, stay as they are: such a server is
    /// made at the start.
    fn leave_to_a_restart(&self, config: &mut Config, plan: &Plan, report: &mut ReloadReport) {
        let begun = &self.children.config.settings;
        let now = config.settings.clone();
        config.queues.retain_mut(|entry| {
            let before = plan
                .pools
                .iter()
                .find(|queue| queue.entry.name == entry.name);
            let is_there = before.is_some_and(|before| before.entry.source == entry.source);
            let Some(server) = other_server(entry, begun, &now).filter(|_| !is_there) else {
                return true;
            };
            if entry.live {
                report
                    .needs_restart
                    .push(format!("queue `{}`, which uses {server}", entry.name));
            }
            match before {
                Some(before) => {
                    *entry = before.entry.clone();
                    true
                }
                None => false,
            }
        });
        // Of two that changed places only one may have stayed.
        let mut seen = std::collections::HashSet::new();
        config
            .queues
            .retain(|entry| seen.insert(entry.source.clone()));
    }

    fn renewed(
        &self,
        before: &LiveQueue,
        entry: &QueueEntry,
    ) -> Result<(LiveQueue, Change), String> {
        let what = differing(&before.entry, entry);
        if what.is_empty() {
            // Its `status` may be another, and it is live all the same.
            return Ok((before.clone(), Change::None));
        }
        if is_tuned(&before.entry, entry) {
            let mut queue = before.clone();
            queue.entry = entry.clone();
            queue.pool.limits = entry.limits;
            queue.pool.work.timeout = entry.timeout;
            queue.pool.work.batch = entry.batch;
            return Ok((queue, Change::Tuned(what)));
        }
        let state = Arc::clone(&before.pool.work.state);
        Ok((self.started(entry, Some(state))?, Change::Replaced(what)))
    }

    /// A pool that is to be started.
    fn started(
        &self,
        entry: &QueueEntry,
        state: Option<Arc<QueueState>>,
    ) -> Result<LiveQueue, String> {
        let state = state.unwrap_or_else(|| QueueState::new(facts_of(entry)));
        let source = self.sources.of(entry).map_err(Failure::text)?;
        let rate = self.sources.limiter(entry).map_err(Failure::text)?;
        let pool = self
            .children
            .pool(entry, (source, rate), &self.consumers, state);
        let pool = pool.map_err(Failure::text)?;
        Ok(LiveQueue::new(entry.clone(), pool))
    }
}

/// The server of an entry, where its settings are others than at the start.
fn other_server(entry: &QueueEntry, begun: &Settings, now: &Settings) -> Option<String> {
    match &entry.source {
        SourceConfig::Table { .. } => None,
        SourceConfig::Redis { server, .. } => {
            let is_other = begun.redis.get(server) != now.redis.get(server);
            is_other.then(|| format!("`redis.{server}`"))
        }
        SourceConfig::Kafka { cluster, .. } => {
            let is_other = begun.kafka.get(cluster) != now.kafka.get(cluster);
            is_other.then(|| format!("`kafka.{cluster}`"))
        }
    }
}

fn tune_of(entry: &QueueEntry) -> Tune {
    Tune {
        limits: entry.limits,
        timeout: entry.timeout,
        batch: entry.batch,
    }
}

/// Whether a pool can take over the difference while it works: it has the same queue, handler and rules of retries.
fn is_tuned(before: &QueueEntry, after: &QueueEntry) -> bool {
    (&before.exec_cmd, &before.source, before.retry)
        == (&after.exec_cmd, &after.source, after.retry)
}

/// The keys whose values are others; the numbers of consumers with what they were and are.
fn differing(before: &QueueEntry, after: &QueueEntry) -> String {
    // Without `..`: a new key is forgotten by nobody.
    let QueueEntry {
        name: _,
        exec_cmd,
        source,
        limits,
        status: _,
        live: _,
        timeout,
        retry,
        batch,
        rate_limit,
    } = before;
    let mut what = Vec::new();
    if limits.progress != after.limits.progress {
        let (was, is) = (limits.progress, after.limits.progress);
        what.push(format!("`progress` {was}, now {is}"));
    }
    if limits.max_progress != after.limits.max_progress {
        let shown = |most: Option<std::num::NonZeroU32>| {
            most.map_or_else(|| "none".to_owned(), |most| most.to_string())
        };
        let (was, is) = (limits.max_progress, after.limits.max_progress);
        what.push(format!("`max_progress` {}, now {}", shown(was), shown(is)));
    }
    for (key, is_other) in [
        (
            "progress_lag_limit",
            limits.lag_limit != after.limits.lag_limit,
        ),
        (
            "progress_avg_msgcount",
            limits.avg_msgcount != after.limits.avg_msgcount,
        ),
        ("exec_cmd", *exec_cmd != after.exec_cmd),
        ("timeout", *timeout != after.timeout),
        ("batch_size", batch.size != after.batch.size),
        ("batch_wait", batch.wait != after.batch.wait),
        ("batch_bytes", batch.bytes != after.batch.bytes),
        ("rate_limit", *rate_limit != after.rate_limit),
    ] {
        if is_other {
            what.push(format!("`{key}`"));
        }
    }
    if *source != after.source {
        what.push(format!(
            "{}, now {}",
            source.describe(),
            after.source.describe()
        ));
    }
    if *retry != after.retry {
        what.push("retries".to_owned());
    }
    what.join(", ")
}

fn name_cron(cron: &Renewed, report: &mut ReloadReport) {
    let name = |entry: &Arc<LiveEntry>| {
        format!(
            "cron `{}`, `{}`",
            entry.config.name, entry.config.expression
        )
    };
    report.came.extend(cron.came.iter().map(name));
    report.went.extend(cron.went.iter().map(name));
    let changed = cron.changed.iter().map(|(was, is)| {
        let (was, is) = (&was.config, &is.config);
        let mut what = Vec::new();
        if was.name != is.name {
            what.push(format!("was `{}`", was.name));
        }
        for (key, is_other) in [
            ("is_log", was.is_log != is.is_log),
            ("overlap", was.overlap != is.overlap),
            ("misfire", was.misfire != is.misfire),
            ("timeout", was.timeout != is.timeout),
            ("ping", was.ping != is.ping),
        ] {
            if is_other {
                what.push(format!("`{key}`"));
            }
        }
        if what.is_empty() {
            what.push("where its output goes".to_owned());
        }
        format!("cron `{}` ({})", is.name, what.join(", "))
    });
    report.changed.extend(changed);
}
