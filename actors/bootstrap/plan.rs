//! From the configuration and the handlers to the plan of the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use parking_lot::RwLock;

use super::entry_files::EntryFiles;
use super::failure::{Failure, chain};
use super::sources::Sources;
use super::{open, version};
use crate::alert::own::{self, Disks, Memory, OwnAlerts};
use crate::alert::warning::{Counter, Outbox, OutboxConfig};
use crate::alert::{Notifier, Pinger};
use crate::clock::{millis, now_ms};
use crate::config::{
    Commands, Config, CronEntry, DatabaseUrl, Places, QueueEntry, Secret, SourceConfig,
    tables_of_other_partitions,
};
use crate::consumer::Work;
use crate::cron::{Backlog, CronConfig, LiveEntry, StartingFires, WatchedRuns};
use crate::db::Db;
use crate::delay_queue::{DelayConfig, DelayQueueHandle, RunningTasks, Stats, TaskRules};
use crate::http::{DatabaseCheck, DeadLetterJobs, Files, HttpConfig, PoolOrders, Socket};
use crate::job::{Consumer, Handlers};
use crate::logs::{OutputLogs, StderrFormat};
use crate::membership::Liveness;
use crate::membership::{Owner, host};
use crate::orders::dead::Targets;
use crate::orders::{Orders, PauseKind, Pauses};
use crate::poison::SlotFile;
use crate::poison::{Quarantine, Quarantines};
use crate::pool::PoolConfig;
use crate::rate::Limiter;
use crate::reload::ReloadHandle;
use crate::source::replayed::DueReplays;
use crate::source::{
    Clusters, Consumed, IdleTables, PutOffMessages, RedisServers, Routes, Source, TableLags,
};
use crate::state::{DelayState, Identity, QueueFacts, QueueState, State};
use crate::store::Store;
use crate::store::rows::BootRow;
use crate::store::warnings::CountOrigin;
use crate::supervisor::{LiveQueue, Plan, Retention, Warnings};
use crate::workers::Workers;

/// Below the data directory: the files of cron runs.
pub(crate) const RUNS: &str = "runs";
/// Below the log directory: what cron runs print.
pub(crate) const OUTPUT: &str = "cron";

/// What the daemon itself must keep on disk lies beside its SQLite file; with another database, in `data`.
pub(crate) fn data_dir(config: &Config) -> PathBuf {
    match &config.settings.database.url {
        DatabaseUrl::Sqlite(path) => path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .map_or_else(|| PathBuf::from("."), PathBuf::from),
        DatabaseUrl::Mysql(_) | DatabaseUrl::Postgres(_) => PathBuf::from("data"),
    }
}

/// What warnings say of this process.
pub(crate) fn count_origin(config: &Config) -> CountOrigin {
    CountOrigin {
        environment: config.environment.to_string(),
        partition: config.partition.to_string(),
        host: host(),
    }
}

/// The parts that the plan is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: Arc<Config>,
    pub(crate) places: &'a Places,
    pub(crate) handlers: Handlers,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) db: Db,
    pub(crate) delay_queue: DelayQueueHandle,
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) redis: Arc<RedisServers>,
    /// Where `ctx.send` sends to.
    pub(crate) routes: Routes,
    pub(crate) commands: Commands,
    pub(crate) owner: Owner,
    pub(crate) notifier: Notifier,
    pub(crate) alert_memory: Memory,
    pub(crate) counter: Counter,
    pub(crate) pinger: Pinger,
    pub(crate) started: Instant,
}

/// The plan, and what makes another one of the files at a reload. To be called inside the System: it starts the
/// workers.
pub(crate) fn plan(parts: Parts<'_>) -> Result<(Plan, EntryFiles), Failure> {
    let config = Arc::clone(&parts.config);
    let settings = &config.settings;
    let owner = parts.owner;
    let data_dir = data_dir(&config);
    let slots = SlotFile::create(&data_dir, config.partition.as_ref(), owner.boot())
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    let workers = usize::try_from(settings.workers).unwrap_or(0);
    let liveness = Arc::new(Liveness::new(settings.heartbeat_interval));
    let sources = Sources {
        config: Arc::clone(&config),
        db: parts.db.clone(),
        owner: owner.clone(),
        liveness: Arc::clone(&liveness),
        due: Arc::new(DueReplays::new(parts.db.clone())),
        put_off: Arc::new(PutOffMessages::new(parts.db.clone(), Arc::clone(&liveness))),
        lags: TableLags::new(parts.db.clone()),
        idle: IdleTables::new(parts.db.clone()),
        clusters: parts.clusters,
        redis: parts.redis,
    };
    let shared = Shared {
        config: Arc::clone(&config),
        db: parts.db,
        owner,
        liveness,
        slots: Arc::new(slots),
        workers: Arc::new(Workers::start(workers).map_err(Failure::failed)?),
        pinger: parts.pinger,
        pauses: Pauses::default(),
        targets: Arc::new(Targets::new(&config, parts.commands.delayed.clone())),
    };
    log::debug!("{} worker threads", shared.workers.len());
    let mut handlers = parts.handlers;
    let live = || config.queues.iter().filter(|entry| entry.live);
    let pools = live()
        .map(|entry| {
            let state = QueueState::new(facts_of(entry));
            let source = (sources.of(entry)?, sources.limiter(entry)?);
            let pool = shared.pool(entry, source, &handlers.consumers, state)?;
            Ok(LiveQueue::new(entry.clone(), pool))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let cron = shared.cron(parts.places, data_dir.join(RUNS))?;
    let delay = Arc::new(shared.delay(std::mem::take(&mut handlers.delayed)));
    let files = Files::new(
        Arc::clone(&config),
        open::log_options(&config, StderrFormat::Plain),
    );
    let http = Arc::new(shared.http(&pools, &cron, &delay, &data_dir, files));
    let own_alerts = OwnAlerts::new(own::Parts {
        rules: settings.alert.rules.clone(),
        notifier: parts.notifier.clone(),
        state: Arc::clone(&http.state),
        disks: Disks::below([data_dir.clone(), settings.logger.path.clone()]),
        db: shared.db.clone(),
        memory: parts.alert_memory,
    });
    let queues = live().flat_map(|entry| sources.known(entry)).collect();
    let lists = all_lists(&config);
    let redis = config
        .used_redis()
        .map(|name| Ok((name.clone(), sources.redis.get(name)?)))
        .collect::<Result<Vec<_>, String>>()
        .map_err(Failure::misused)?;
    let due = Arc::clone(&sources.due);
    actix_rt::spawn(async move { due.run().await });
    let put_off = Arc::clone(&sources.put_off);
    actix_rt::spawn(async move { put_off.run().await });
    let plan = Plan {
        started: parts.started,
        boot: BootRow {
            owner: shared.owner.to_string(),
            partition: config.partition.to_string(),
            host: host(),
            pid: std::process::id().cast_signed(),
            interval_ms: millis(settings.heartbeat_interval),
            version: version::VERSION,
        },
        http,
        delay,
        retention: Retention {
            tasks: settings.delay_retention,
            crontab_log: settings.crontab_log_retention,
            dead_letters: settings.dead_letter_retention,
            audit: settings.audit_retention,
            idempotency_keys: settings.idempotency_retention,
        },
        cron,
        warnings: Warnings {
            counter: parts.counter,
            origin: Arc::new(count_origin(&config)),
            outbox: Outbox::new(OutboxConfig {
                db: shared.db.clone(),
                notifier: parts.notifier.clone(),
                owner: shared.owner.to_string(),
                environment: config.environment.to_string(),
                partition: config.partition.to_string(),
            }),
        },
        notifier: parts.notifier,
        own_alerts,
        ping: ping(&config),
        pauses: shared.pauses.clone(),
        consumed: Consumed::of(&config, tables_of_other_partitions(parts.places)),
        redis,
        lists,
        queues,
        hints: hints(&config),
        pools,
        own_code: handlers.own_code,
        data_dir,
        delay_queue: parts.delay_queue,
        shutdown_deadline: settings.shutdown_deadline,
        store: parts.store,
        db: shared.db.clone(),
        liveness: Arc::clone(&shared.liveness),
        slots: Arc::clone(&shared.slots),
    };
    let entry_files = EntryFiles {
        places: parts.places.clone(),
        commands: parts.commands,
        consumers: handlers.consumers,
        routes: parts.routes,
        shared,
        sources,
    };
    Ok((plan, entry_files))
}

/// The lists that are consumed, by the server.
pub(crate) fn all_lists(config: &Config) -> BTreeMap<String, BTreeSet<String>> {
    let lists = config.used_redis();
    let lists = lists.map(|name| (name.clone(), consumed_lists(config, name)));
    lists.collect()
}

/// What several children are given.
pub(crate) struct Shared {
    /// As at the start: what is taken from it no reload changes.
    pub(crate) config: Arc<Config>,
    db: Db,
    owner: Owner,
    liveness: Arc<Liveness>,
    slots: Arc<SlotFile>,
    workers: Arc<Workers>,
    pinger: Pinger,
    pauses: Pauses,
    /// Where dead letters run again.
    pub(super) targets: Arc<Targets>,
}

impl Shared {
    pub(crate) fn pool(
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

    fn http(
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

    fn delay(
        &self,
        handlers: std::collections::BTreeMap<
            String,
            crate::job::Handler<crate::job::Task, serde_json::Value>,
        >,
    ) -> DelayConfig {
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

    fn cron(&self, places: &Places, runs: PathBuf) -> Result<CronConfig, Failure> {
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

/// The address that is called while this daemon lives, where it is to be called here.
fn ping(config: &Config) -> Option<Secret> {
    let ping = config.settings.alert.ping.as_ref();
    let here = ping.filter(|ping| ping.is_for(config.environment));
    here.map(|ping| ping.url.clone())
}

/// The entries that fire.
pub(crate) fn live_crontab(config: &Config) -> impl Iterator<Item = CronEntry> {
    let live = config.crontab.iter();
    let live = live.filter(|entry| entry.live && !entry.drives_delay_queue);
    live.cloned()
}

pub(crate) fn facts_of(entry: &QueueEntry) -> QueueFacts {
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

/// The lists of live entries on this server, by whichever name of the settings: two may mean one.
pub(crate) fn consumed_lists(config: &Config, server: &str) -> BTreeSet<String> {
    let url = |name: &str| {
        let settings = config.settings.redis.get(name);
        settings.map(|settings| settings.url.expose().to_owned())
    };
    let is_it = |name: &str| name == server || url(name) == url(server);
    let live = config.queues.iter().filter(|entry| entry.live);
    let list = live.filter_map(|entry| match &entry.source {
        SourceConfig::Redis { key, server } if is_it(server) => Some(key.clone()),
        _ => None,
    });
    list.collect()
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

/// What to try next, for a person who sees this for the first time.
fn hints(config: &Config) -> Vec<String> {
    let logs = config.settings.logger.path.display();
    let program = std::env::args().next().unwrap_or_default();
    let queue = config.queues.iter().find(|entry| entry.live);
    let try_next = match queue {
        Some(entry) => format!("try `{program} send {} hello`; ", entry.name),
        None => String::new(),
    };
    vec![format!(
        "{try_next}what happens is in {logs}/{}-*.log, what cron runs print in {logs}/{OUTPUT}/{}/",
        config.partition, config.partition
    )]
}
