//! The configuration of each child of SupervisorActor: the pools, CronActor, DelayQueueActor, HttpActor.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::RwLock;
use serde_json::Value;

use super::failure::Failure;
use super::{open, version};
use crate::alert::Pinger;
use crate::clock::now_ms;
use crate::config::{Config, CronEntry, Places, QueueEntry, SourceConfig};
use crate::consumer::Work;
use crate::cron::{Backlog, CronConfig, LiveEntry, StartingFires, WatchedRuns};
use crate::db::Db;
use crate::delay_queue::{DelayConfig, RunningTasks, Stats, TaskRules};
use crate::http::{DatabaseCheck, DeadLetterJobs, Files, HttpConfig, PoolOrders, Socket};
use crate::job::{Consumer, Handler, Task};
use crate::logs::{OutputLogs, StderrFormat};
use crate::membership::{Liveness, Owner, host};
use crate::orders::dead::Targets;
use crate::orders::{Orders, PauseKind, Pauses};
use crate::poison::{Quarantine, Quarantines, SlotFile};
use crate::pool::PoolConfig;
use crate::rate::Limiter;
use crate::reload::ReloadHandle;
use crate::source::Source;
use crate::state::{DelayState, Identity, QueueFacts, QueueState, State};
use crate::supervisor::LiveQueue;
use crate::workers::Workers;

/// Makes the configuration of each child from what several of them share.
pub(super) struct ChildConfigs {
    /// As at the start: what is taken from it no reload changes.
    pub(super) config: Arc<Config>,
    pub(super) db: Db,
    pub(super) owner: Owner,
    pub(super) liveness: Arc<Liveness>,
    pub(super) slots: Arc<SlotFile>,
    pub(super) workers: Arc<Workers>,
    pub(super) pinger: Pinger,
    pub(super) pauses: Pauses,
    /// Where dead letters run again.
    pub(super) targets: Arc<Targets>,
}

impl ChildConfigs {
    pub(super) fn pool(
        &self,
        entry: &QueueEntry,
        (source, rate): (Arc<dyn Source>, Arc<Limiter>),
        consumers: &BTreeMap<String, Consumer>,
        state: Arc<QueueState>,
    ) -> Result<PoolConfig, Failure> {
        let handler = consumers.get(&entry.exec_cmd).ok_or_else(|| {
            Failure::misused(format!(
                "queue `{}`: no consumer `{}`",
                entry.name, entry.exec_cmd
            ))
        })?;
        let work = Work {
            queue: entry.name.as_str().into(),
            source,
            home: tokio::runtime::Handle::current(),
            handler: handler.clone(),
            retry: entry.retry,
            timeout: entry.timeout,
            batch: entry.batch,
            slots: Some(Arc::clone(&self.slots)),
            quarantine: Quarantine::default(),
            paused: self.pauses.flag(PauseKind::Queue, &entry.name),
            rate,
            state,
        };
        Ok(PoolConfig {
            work,
            limits: entry.limits,
            lag_check_interval: self.config.settings.lag_check_interval,
            consumer_lease: self.config.settings.consumer_lease,
            workers: Arc::clone(&self.workers),
        })
    }

    pub(super) fn http(
        &self,
        pools: &[LiveQueue],
        cron: &CronConfig,
        delay: &DelayConfig,
        data_dir: &Path,
        files: Files,
    ) -> HttpConfig {
        let (config, boot) = (&self.config, self.owner.boot());
        let partition = config.partition.to_string();
        let identity = Identity {
            version: version::VERSION,
            environment: config.environment.to_string(),
            partition: partition.clone(),
            host: host(),
            pid: std::process::id(),
            boot: boot.to_owned(),
            started_ms: now_ms(),
        };
        let works = || pools.iter().map(|queue| &queue.pool.work);
        HttpConfig {
            settings: config.settings.http.clone(),
            state: Arc::new(State::new(
                identity,
                works().map(|work| Arc::clone(&work.state)).collect(),
                cron.entries.iter().map(|e| Arc::clone(&e.state)).collect(),
                Arc::clone(&delay.state),
            )),
            db: self.db.clone(),
            database: DatabaseCheck::new(self.db.clone()),
            liveness: Arc::clone(&self.liveness),
            sources: RwLock::new(
                works()
                    .map(|work| (Arc::clone(&work.queue), Arc::clone(&work.source)))
                    .collect(),
            ),
            pools: PoolOrders::default(),
            targets: Arc::clone(&self.targets),
            dead_letters: DeadLetterJobs::default(),
            files,
            reloads: ReloadHandle::default(),
            socket: Socket::new(data_dir, &partition, boot),
            started: AtomicBool::new(false),
        }
    }

    pub(super) fn delay(&self, handlers: BTreeMap<String, Handler<Task, Value>>) -> DelayConfig {
        let settings = &self.config.settings;
        let rules = settings.delayed.iter().map(|(exec_cmd, rules)| {
            let rules = TaskRules {
                timeout: rules.timeout,
                retry: rules.retry,
            };
            (exec_cmd.clone(), rules)
        });
        DelayConfig {
            owner: self.owner.to_string(),
            liveness: Arc::clone(&self.liveness),
            handlers,
            rules: rules.collect(),
            default_rules: TaskRules::default(),
            slots: Some(Arc::clone(&self.slots)),
            quarantines: Quarantines::default(),
            workers: Arc::clone(&self.workers),
            concurrency: settings.delay_concurrency,
            running: RunningTasks::default(),
            stats: Stats::default(),
            paused: self.pauses.flag(PauseKind::Delay, ""),
            state: DelayState::new(),
        }
    }

    pub(super) fn cron(&self, places: &Places, runs: PathBuf) -> Result<CronConfig, Failure> {
        let settings = &self.config.settings;
        let (program, program_is_ours) = match &settings.cron_command {
            Some(command) => (PathBuf::from(command), false),
            None => (own_path()?, true),
        };
        Ok(CronConfig {
            db: self.db.clone(),
            liveness: Arc::clone(&self.liveness),
            partition: self.config.partition.to_string(),
            owner: self.owner.to_string(),
            entries: LiveEntry::all(live_crontab(&self.config)),
            misfire_grace: settings.misfire_grace,
            program,
            program_is_ours,
            environment: vec![
                ("SCRIPT_ETC".to_owned(), places.etc.display().to_string()),
                ("SCRIPT_ENV".to_owned(), places.environment.to_string()),
                ("SCRIPT_PARTITION".to_owned(), places.partition.to_string()),
            ],
            runs,
            output: OutputLogs::new(&open::log_options(&self.config, StderrFormat::Plain)),
            starting: StartingFires::default(),
            backlog: Backlog::default(),
            watched: WatchedRuns::default(),
            pinger: self.pinger.clone(),
            pauses: self.pauses.clone(),
            orders: Orders::default(),
        })
    }
}

/// The entries that fire.
pub(super) fn live_crontab(config: &Config) -> impl Iterator<Item = CronEntry> {
    let live = config.crontab.iter();
    let live = live.filter(|entry| entry.live && !entry.drives_delay_queue);
    live.cloned()
}

pub(super) fn facts_of(entry: &QueueEntry) -> QueueFacts {
    let (kind, source) = match &entry.source {
        SourceConfig::Kafka { topic, .. } => ("kafka", topic),
        SourceConfig::Redis { key, .. } => ("redis", key),
        SourceConfig::Table { table } => ("table", table),
    };
    QueueFacts {
        name: entry.name.clone(),
        kind,
        source: source.clone(),
        exec_cmd: entry.exec_cmd.clone(),
        progress: entry.limits.progress.get(),
        max_progress: entry.limits.max_progress.map(NonZeroU32::get),
        lag_limit: entry.limits.lag_limit,
        rate_limit: entry.rate_limit.map(|limit| limit.to_string()),
    }
}

/// The path this program was started from, links kept: after an upgrade in place, or another target of the link, it
/// names the new program.
fn own_path() -> Result<PathBuf, Failure> {
    let failed = |cause| Failure::failed(format!("this program's own path: {cause}"));
    let named = std::env::args_os().next().map(PathBuf::from);
    match named.filter(|path| path.components().count() > 1) {
        Some(path) => std::path::absolute(path).map_err(failed),
        // Found by `PATH`, or started without a name.
        None => std::env::current_exe().map_err(failed),
    }
}
