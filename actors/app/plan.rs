//! From the configuration and the handlers to the plan of the daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::failure::{Failure, chain};
use super::start;
use crate::clock::millis;
use crate::config::{Config, DatabaseUrl, Partition, Places, QueueEntry, Settings, SourceConfig};
use crate::consumer::Work;
use crate::cron::{CronConfig, LiveEntry, StartingFires, WatchedRuns};
use crate::db::rows::{BootRow, COUNT_CAP, EntryName};
use crate::db::{Db, Liveness, Store};
use crate::delay_queue::{DelayConfig, DelayQueueHandle, RunningTasks, Stats, TaskRules};
use crate::identity::{Owner, host};
use crate::job::slots::{Identity, Kind, SlotFile};
use crate::job::{Gate, Gates, Handlers};
use crate::logs::{OutputLogs, StderrFormat};
use crate::pool::{PoolConfig, enough};
use crate::source::replayed::{DueReplays, Replayed, replay_table};
use crate::source::{RedisQueue, RedisServer, RedisSource, Source, TableLags, TableSource};
use crate::supervisor::{KnownQueue, Plan};
use crate::workers::Workers;

/// Below the data directory: the files of cron runs.
pub(super) const RUNS: &str = "runs";
/// Below the log directory: what cron runs print.
pub(super) const OUTPUT: &str = "cron";

/// What the daemon itself must keep on disk lies beside its SQLite file; with another database, in `data`.
pub(super) fn data_dir(config: &Config) -> PathBuf {
    match &config.settings.database.url {
        DatabaseUrl::Sqlite(path) => path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .map_or_else(|| PathBuf::from("."), PathBuf::from),
        DatabaseUrl::Mysql(_) | DatabaseUrl::Postgres(_) => PathBuf::from("data"),
    }
}

/// What this version cannot run, one sentence each: live entries of other kinds.
pub(super) fn refused(config: &Config) -> Vec<String> {
    let live = config.queues.iter().filter(|entry| entry.live);
    let why = |entry: &QueueEntry| {
        let kind = match &entry.source {
            SourceConfig::Table { .. } | SourceConfig::Redis { .. } => return None,
            SourceConfig::Kafka { topic, .. } => format!("Kafka topic `{topic}`"),
        };
        Some(format!(
            "queue `{}` reads the {kind}: this version consumes Redis and `table` queues only; set its `status` to 0 to keep the entry",
            entry.name
        ))
    };
    live.filter_map(why).collect()
}

/// Refuses what this version cannot run.
pub(super) fn supported(config: &Config) -> Result<(), Failure> {
    let refused = refused(config);
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::misused(format!(
        "{}\nnothing was started",
        refused.join("\n")
    )))
}

/// The parts that the plan is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) places: &'a Places,
    pub(super) handlers: Handlers,
    pub(super) store: Arc<dyn Store>,
    pub(super) db: Db,
    pub(super) delay_queue: DelayQueueHandle,
    pub(super) owner: Owner,
    pub(super) started: Instant,
}

/// To be called inside the System: it starts the workers.
pub(super) fn plan(parts: Parts<'_>) -> Result<Plan, Failure> {
    let config = parts.config;
    let settings = &config.settings;
    let owner = parts.owner;
    let data_dir = data_dir(config);
    let slots = SlotFile::create(&data_dir, config.partition.as_ref(), owner.boot())
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    let workers = usize::try_from(settings.workers).unwrap_or(0);
    let shared = Shared {
        config,
        due: DueReplays::new(parts.db.clone()),
        lags: TableLags::new(parts.db.clone()),
        db: parts.db,
        owner,
        redis: RedisServers {
            settings,
            made: Mutex::default(),
        },
        liveness: Arc::new(Liveness::new(settings.heartbeat_interval)),
        slots: Arc::new(slots),
        workers: Arc::new(Workers::start(workers).map_err(Failure::failed)?),
    };
    log::debug!("{} worker threads", shared.workers.len());
    let mut handlers = parts.handlers;
    let live = || config.queues.iter().filter(|entry| entry.live);
    let pools = live()
        .map(|entry| shared.pool(entry, &handlers))
        .collect::<Result<Vec<_>, _>>()?;
    let cron = shared.cron(parts.places, data_dir.join(RUNS))?;
    let delay = shared.delay(std::mem::take(&mut handlers.delayed));
    actix_rt::spawn(shared.due.look());
    Ok(Plan {
        started: parts.started,
        boot: BootRow {
            owner: shared.owner.to_string(),
            partition: config.partition.to_string(),
            host: host(),
            pid: std::process::id().cast_signed(),
            interval_ms: millis(settings.heartbeat_interval),
        },
        delay: Arc::new(delay),
        cron,
        queues: live()
            .flat_map(|entry| known_queues(entry, &config.partition))
            .collect(),
        hints: hints(config),
        pools,
        data_dir,
        delay_queue: parts.delay_queue,
        shutdown_deadline: settings.shutdown_deadline,
        store: parts.store,
        db: shared.db,
        liveness: shared.liveness,
        slots: shared.slots,
    })
}

/// What several children are given.
struct Shared<'a> {
    config: &'a Config,
    db: Db,
    owner: Owner,
    liveness: Arc<Liveness>,
    slots: Arc<SlotFile>,
    workers: Arc<Workers>,
    due: DueReplays,
    lags: Arc<TableLags>,
    redis: RedisServers<'a>,
}

/// Redis servers by name: queues of one server share its connections, and its outages are said once.
struct RedisServers<'a> {
    settings: &'a Settings,
    made: Mutex<BTreeMap<String, Arc<RedisServer>>>,
}

impl RedisServers<'_> {
    fn get(&self, name: &str) -> Result<Arc<RedisServer>, Failure> {
        let failed = |why: String| Failure::misused(format!("redis `{name}`: {why}"));
        let settings = self.settings.redis.get(name);
        let settings = settings.ok_or_else(|| failed("the settings do not name it".to_owned()))?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = made.get(name) {
            return Ok(Arc::clone(server));
        }
        let server = RedisServer::new(name, settings.url.expose());
        let server = server.map_err(|cause| failed(cause.to_string()))?;
        made.insert(name.to_owned(), Arc::clone(&server));
        Ok(server)
    }
}

impl Shared<'_> {
    fn pool(&self, entry: &QueueEntry, handlers: &Handlers) -> Result<PoolConfig, Failure> {
        let handler = handlers.consumers.get(&entry.exec_cmd).ok_or_else(|| {
            Failure::misused(format!(
                "queue `{}`: no consumer `{}`",
                entry.name, entry.exec_cmd
            ))
        })?;
        let work = Work {
            queue: entry.name.as_str().into(),
            source: self.source(entry)?,
            home: tokio::runtime::Handle::current(),
            handler: handler.clone(),
            retry: entry.retry,
            timeout: entry.timeout,
            batch: entry.batch,
            slots: Some(Arc::clone(&self.slots)),
            gate: Gate::default(),
        };
        Ok(PoolConfig {
            work,
            limits: entry.limits,
            lag_check_interval: self.config.settings.lag_check_interval,
            consumer_lease: self.config.settings.consumer_lease,
            workers: Arc::clone(&self.workers),
        })
    }

    fn source(&self, entry: &QueueEntry) -> Result<Arc<dyn Source>, Failure> {
        Ok(match &entry.source {
            SourceConfig::Table { table } => {
                Arc::new(self.table(table, entry, enough(&entry.limits)))
            }
            SourceConfig::Redis { key, server } => {
                let queue = RedisSource::new(RedisQueue {
                    server: self.redis.get(server)?,
                    server_name: server.clone(),
                    key: key.clone(),
                    entry: entry_name(entry),
                    rules: entry.retry,
                    db: self.db.clone(),
                    partition: self.config.partition.to_string(),
                    boot: self.owner.boot().to_owned(),
                    heartbeat_interval: self.config.settings.heartbeat_interval,
                });
                self.replayed(entry, queue)
            }
            SourceConfig::Kafka { .. } => {
                return Err(Failure::misused(format!(
                    "queue `{}` is a Kafka queue",
                    entry.name
                )));
            }
        })
    }

    fn table(&self, table: &str, entry: &QueueEntry, lag_cap: u64) -> TableSource {
        TableSource::new(
            self.db.clone(),
            self.owner.to_string(),
            Arc::clone(&self.liveness),
            table,
            entry_name(entry),
        )
        .with_lags(Arc::clone(&self.lags), lag_cap)
    }

    /// A queue outside the database, and beside it the replayed dead letters of its entry.
    fn replayed(&self, entry: &QueueEntry, queue: Arc<dyn Source>) -> Arc<dyn Source> {
        let table = replay_table(self.config.partition.as_ref(), &entry.name);
        let letters = self.table(&table, entry, COUNT_CAP);
        Arc::new(Replayed::new(queue, letters, self.due.of(table)))
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
            gates: Gates::default(),
            workers: Arc::clone(&self.workers),
            concurrency: settings.delay_concurrency,
            running: RunningTasks::default(),
            stats: Stats::default(),
        }
    }

    fn cron(&self, places: &Places, runs: PathBuf) -> Result<CronConfig, Failure> {
        let settings = &self.config.settings;
        let live = self.config.crontab.iter();
        let live = live.filter(|entry| entry.live && !entry.drives_delay_queue);
        let (program, program_is_ours) = match &settings.cron_command {
            Some(command) => (PathBuf::from(command), false),
            None => (own_path()?, true),
        };
        Ok(CronConfig {
            db: self.db.clone(),
            liveness: Arc::clone(&self.liveness),
            partition: self.config.partition.to_string(),
            owner: self.owner.to_string(),
            entries: live.cloned().map(LiveEntry::new).map(Arc::new).collect(),
            misfire_grace: settings.misfire_grace,
            program,
            program_is_ours,
            environment: vec![
                ("SCRIPT_ETC".to_owned(), places.etc.display().to_string()),
                ("SCRIPT_ENV".to_owned(), places.environment.to_string()),
                ("SCRIPT_PARTITION".to_owned(), places.partition.to_string()),
            ],
            runs,
            output: OutputLogs::new(&start::log_options(self.config, StderrFormat::Plain)),
            starting: StartingFires::default(),
            watched: WatchedRuns::default(),
        })
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

fn entry_name(entry: &QueueEntry) -> EntryName {
    EntryName {
        name: entry.name.clone(),
        exec_cmd: entry.exec_cmd.clone(),
    }
}

/// Of an entry outside the database: the table of its replayed dead letters.
fn known_queues(entry: &QueueEntry, partition: &Partition) -> Vec<KnownQueue> {
    let known = |kind, source: &str| KnownQueue {
        kind,
        // A slot shortens what is too long for it.
        source: Identity::new(kind, source, "", 0).queue().to_owned(),
        entry: entry_name(entry),
        rules: entry.retry,
    };
    match &entry.source {
        SourceConfig::Table { table } => vec![known(Kind::Queue, table)],
        SourceConfig::Kafka { .. } => {
            let letters = replay_table(partition.as_ref(), &entry.name);
            vec![known(Kind::Queue, &letters)]
        }
        SourceConfig::Redis { key, server } => {
            let letters = replay_table(partition.as_ref(), &entry.name);
            let list = RedisSource::slot_name(server, key);
            vec![known(Kind::Queue, &letters), known(Kind::Redis, &list)]
        }
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
        "{try_next}what happens is in {logs}/{}-*.log, what cron runs print in {logs}/{OUTPUT}/",
        config.partition
    )]
}
