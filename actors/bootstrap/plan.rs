//! From the configuration and the handlers to the plan of the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::children::{ChildConfigs, facts_of};
use super::entry_files::EntryFiles;
use super::failure::{Failure, chain};
use super::sources::Sources;
use super::{open, version};
use crate::alert::own::{self, Disks, Memory, OwnAlerts};
use crate::alert::warning::{Counter, Outbox, OutboxConfig};
use crate::alert::{Notifier, Pinger};
use crate::clock::millis;
use crate::config::{
    Commands, Config, DatabaseUrl, Places, QueueEntry, Secret, Settings, SourceConfig,
    tables_of_other_partitions,
};
use crate::db::Db;
use crate::delay_queue::DelayQueueHandle;
use crate::http::Files;
use crate::job::{Consumer, Handlers};
use crate::logs::StderrFormat;
use crate::membership::{Liveness, Owner, host};
use crate::orders::Pauses;
use crate::orders::dead::Targets;
use crate::poison::SlotFile;
use crate::source::replayed::DueReplays;
use crate::source::{
    Clusters, Consumed, IdleTables, PutOffMessages, RedisServer, RedisServers, Routes, TableLags,
};
use crate::state::QueueState;
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
    let data_dir = data_dir(&config);
    let slots = SlotFile::create(&data_dir, config.partition.as_ref(), parts.owner.boot())
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    let workers = usize::try_from(settings.workers).unwrap_or(0);
    let workers = Arc::new(Workers::start(workers).map_err(Failure::failed)?);
    log::debug!("{} worker threads", workers.len());
    let liveness = Arc::new(Liveness::new(settings.heartbeat_interval));
    let sources = Sources {
        config: Arc::clone(&config),
        db: parts.db.clone(),
        owner: parts.owner.clone(),
        liveness: Arc::clone(&liveness),
        due: Arc::new(DueReplays::new(parts.db.clone())),
        put_off: Arc::new(PutOffMessages::new(parts.db.clone(), Arc::clone(&liveness))),
        lags: TableLags::new(parts.db.clone()),
        idle: IdleTables::new(parts.db.clone()),
        clusters: parts.clusters,
        redis: parts.redis,
    };
    let children = ChildConfigs {
        config: Arc::clone(&config),
        db: parts.db,
        owner: parts.owner,
        liveness,
        slots: Arc::new(slots),
        workers,
        pinger: parts.pinger,
        pauses: Pauses::default(),
        targets: Arc::new(Targets::new(&config, parts.commands.delayed.clone())),
    };
    let mut handlers = parts.handlers;
    let pools = pools(&children, &sources, &handlers.consumers)?;
    let cron = children.cron(parts.places, data_dir.join(RUNS))?;
    let delay = Arc::new(children.delay(std::mem::take(&mut handlers.delayed)));
    let files = Files::new(
        Arc::clone(&config),
        open::log_options(&config, StderrFormat::Plain),
    );
    let http = Arc::new(children.http(&pools, &cron, &delay, &data_dir, files));
    let own_alerts = OwnAlerts::new(own::Parts {
        rules: settings.alert.rules.clone(),
        notifier: parts.notifier.clone(),
        state: Arc::clone(&http.state),
        disks: Disks::below([data_dir.clone(), settings.logger.path.clone()]),
        db: children.db.clone(),
        memory: parts.alert_memory,
    });
    let redis = redis_servers(&config, &sources)?;
    sources.start_watching();
    let plan = Plan {
        started: parts.started,
        boot: boot_row(&config, &children.owner),
        http,
        delay,
        retention: retention(settings),
        cron,
        warnings: warnings(&children, parts.counter, parts.notifier.clone()),
        notifier: parts.notifier,
        own_alerts,
        ping: ping(&config),
        pauses: children.pauses.clone(),
        consumed: Consumed::of(&config, tables_of_other_partitions(parts.places)),
        redis,
        lists: all_lists(&config),
        queues: config
            .live_queues()
            .flat_map(|entry| sources.known(entry))
            .collect(),
        hints: hints(&config),
        pools,
        own_code: handlers.own_code,
        data_dir,
        delay_queue: parts.delay_queue,
        shutdown_deadline: settings.shutdown_deadline,
        store: parts.store,
        db: children.db.clone(),
        liveness: Arc::clone(&children.liveness),
        slots: Arc::clone(&children.slots),
    };
    let entry_files = EntryFiles {
        places: parts.places.clone(),
        commands: parts.commands,
        consumers: handlers.consumers,
        routes: parts.routes,
        children,
        sources,
    };
    Ok((plan, entry_files))
}

fn pools(
    children: &ChildConfigs,
    sources: &Sources,
    consumers: &BTreeMap<String, Consumer>,
) -> Result<Vec<LiveQueue>, Failure> {
    let pool = |entry: &QueueEntry| {
        let state = QueueState::new(facts_of(entry));
        let source = (sources.of(entry)?, sources.limiter(entry)?);
        let pool = children.pool(entry, source, consumers, state)?;
        Ok(LiveQueue::new(entry.clone(), pool))
    };
    children.config.live_queues().map(pool).collect()
}

/// The Redis servers that entries use, each by its name in the settings.
fn redis_servers(
    config: &Config,
    sources: &Sources,
) -> Result<Vec<(String, Arc<RedisServer>)>, Failure> {
    let server = |name: &String| Ok((name.clone(), sources.redis.get(name)?));
    let servers: Result<_, String> = config.used_redis().map(server).collect();
    servers.map_err(Failure::misused)
}

fn boot_row(config: &Config, owner: &Owner) -> BootRow {
    BootRow {
        owner: owner.to_string(),
        partition: config.partition.to_string(),
        host: host(),
        pid: std::process::id().cast_signed(),
        interval_ms: millis(config.settings.heartbeat_interval),
        version: version::VERSION,
    }
}

fn retention(settings: &Settings) -> Retention {
    Retention {
        tasks: settings.delay_retention,
        crontab_log: settings.crontab_log_retention,
        dead_letters: settings.dead_letter_retention,
        audit: settings.audit_retention,
        idempotency_keys: settings.idempotency_retention,
    }
}

fn warnings(children: &ChildConfigs, counter: Counter, notifier: Notifier) -> Warnings {
    let config = &children.config;
    Warnings {
        counter,
        origin: Arc::new(count_origin(config)),
        outbox: Outbox::new(OutboxConfig {
            db: children.db.clone(),
            notifier,
            owner: children.owner.to_string(),
            environment: config.environment.to_string(),
            partition: config.partition.to_string(),
        }),
    }
}

/// The lists that are consumed, by the server.
pub(crate) fn all_lists(config: &Config) -> BTreeMap<String, BTreeSet<String>> {
    let lists = config.used_redis();
    let lists = lists.map(|name| (name.clone(), consumed_lists(config, name)));
    lists.collect()
}

/// The address that is called while this daemon lives, where it is to be called here.
fn ping(config: &Config) -> Option<Secret> {
    let ping = config.settings.alert.ping.as_ref();
    let here = ping.filter(|ping| ping.is_for(config.environment));
    here.map(|ping| ping.url.clone())
}

/// The lists of live entries on this server, by whichever name of the settings: two may mean one.
pub(crate) fn consumed_lists(config: &Config, server: &str) -> BTreeSet<String> {
    let url = |name: &str| {
        let settings = config.settings.redis.get(name);
        settings.map(|settings| settings.url.expose().to_owned())
    };
    let is_it = |name: &str| name == server || url(name) == url(server);
    let live = config.live_queues();
    let list = live.filter_map(|entry| match &entry.source {
        SourceConfig::Redis { key, server } if is_it(server) => Some(key.clone()),
        _ => None,
    });
    list.collect()
}

/// What to try next, for a person who sees this for the first time.
fn hints(config: &Config) -> Vec<String> {
    let logs = config.settings.logger.path.display();
    let program = std::env::args().next().unwrap_or_default();
    let queue = config.live_queues().next();
    let try_next = match queue {
        Some(entry) => format!("try `{program} send {} hello`; ", entry.name),
        None => String::new(),
    };
    vec![format!(
        "{try_next}what happens is in {logs}/{}-*.log, what cron runs print in {logs}/{OUTPUT}/{}/",
        config.partition, config.partition
    )]
}
