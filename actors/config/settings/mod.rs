//! `etc/{env}.json`: the daemon's settings. Every key has a default that works.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use serde::de::DeserializeOwned;

use super::Reading;
use crate::jsonc::duration::{self, Bounds};
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::quote;

mod alert;
mod database;
mod delayed;
mod differing;
mod go_dsn;
mod http;
mod kafka;
pub(crate) mod kafka_clients;
mod logger;
mod redis;
mod sentinels;
mod server_names;

#[cfg(test)]
pub(crate) use self::alert::alert_rules_of;
pub(crate) use self::alert::json_key;
pub(crate) use self::kafka::{HAS_OIDC, HAS_TLS};
pub(crate) use self::sentinels::SentinelAddress;
pub(super) use self::server_names::ServerNames;
pub use self::{
    alert::{
        AlertRules, AlertSettings, AlertSeverity, CronRule, DiskRule, EventRule, LagRule, LateRule,
        OutageRule, Ping, RestartRule, Webhook, WebhookAuth, WebhookKind,
    },
    database::{BadDatabaseUrl, DatabaseSettings, DatabaseUrl},
    delayed::DelayedSettings,
    http::HttpSettings,
    kafka::{BadBrokers, Brokers, KafkaSettings},
    logger::LoggerSettings,
    redis::RedisSettings,
};

/// More threads than any machine has cores for.
const MOST_WORKERS: u64 = 1_024;
/// More delayed tasks at once than this are more than a process has memory for.
const MOST_DELAYED: u64 = 1_000_000;
/// The longest interval between polls of something that must be polled.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest interval: below it the daemon does nothing else.
const A_TICK: Duration = Duration::from_millis(100);

const LAG_CHECK_INTERVAL: Bounds = Bounds {
    least: A_TICK,
    most: A_DAY,
    why: "each check asks every broker and server",
};
const CONSUMER_LEASE: Bounds = Bounds {
    least: A_TICK,
    most: duration::LONGEST,
    why: "it must outlast `lag_check_interval`",
};
const HEARTBEAT_INTERVAL: Bounds = Bounds {
    least: A_TICK,
    most: Duration::from_secs(60),
    why: "after three missed heartbeats others take over; a minute each is the longest to wait for that",
};
const MISFIRE_GRACE: Bounds = Bounds {
    least: Duration::from_secs(1),
    most: A_DAY,
    why: "with less a busy second would be a misfire",
};
const SHUTDOWN_DEADLINE: Bounds = Bounds {
    least: Duration::ZERO,
    most: A_DAY,
    why: "0 stops without waiting for running jobs",
};
const RETENTION: Bounds = Bounds {
    least: Duration::from_secs(1),
    most: duration::LONGEST,
    why: "`null` keeps finished rows for ever",
};

/// A year: audits reach back that far, and the rows are few.
const AUDIT_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A day: callers repeat a push or a send within minutes, and the rows may be many.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The daemon's settings, complete: what a file leaves out has its default.
///
/// Secrets print as `***`.
#[derive(Clone)]
pub struct Settings {
    /// The daemon's own database.
    pub database: DatabaseSettings,
    /// More databases, for handlers, by name.
    pub databases: BTreeMap<String, DatabaseSettings>,
    /// Redis servers by name.
    pub redis: BTreeMap<String, RedisSettings>,
    /// Kafka clusters by name.
    pub kafka: BTreeMap<String, KafkaSettings>,
    /// Time limit and retries of delayed tasks, by `exec_cmd`.
    pub delayed: BTreeMap<String, DelayedSettings>,
    /// The log files.
    pub logger: LoggerSettings,
    /// The HTTP port.
    pub http: HttpSettings,
    /// Where alerts go.
    pub alert: AlertSettings,
    /// Worker threads; 0 is one per core.
    pub workers: u32,
    /// How often pools are sized.
    pub lag_check_interval: Duration,
    /// How long a consumer above `progress` stays without being wanted again.
    pub consumer_lease: Duration,
    /// How often a boot sends a heartbeat; it is dead after three missed ones.
    pub heartbeat_interval: Duration,
    /// How many delayed tasks run at once.
    pub delay_concurrency: u32,
    /// How late a fire may be before it is a misfire.
    pub misfire_grace: Duration,
    /// How long a stop waits for running jobs.
    pub shutdown_deadline: Duration,
    /// The program that runs cron handlers; `None` is the daemon's own.
    pub cron_command: Option<String>,
    /// How long finished rows of `delay_queue_log` are kept; `None` is for ever.
    pub delay_retention: Option<Duration>,
    /// How long rows of `crontab_log` are kept; `None` is for ever.
    pub crontab_log_retention: Option<Duration>,
    /// How long dead letters are kept; `None` is for ever.
    pub dead_letter_retention: Option<Duration>,
    /// How long rows of `audit` are kept; `None` is for ever.
    pub audit_retention: Option<Duration>,
    /// How long idempotency keys are kept; `None` is for ever.
    pub idempotency_retention: Option<Duration>,
    /// Whether a change of the files is a reload.
    pub reload_on_change: bool,
    app: serde_json::Value,
    named: NamedServers,
}

/// Which servers the file itself names; the others are defaults that need not be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NamedServers {
    pub(crate) redis: bool,
    pub(crate) kafka: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: DatabaseSettings::default(),
            databases: BTreeMap::new(),
            redis: [("default".to_owned(), RedisSettings::default())].into(),
            kafka: [("default".to_owned(), KafkaSettings::default())].into(),
            delayed: BTreeMap::new(),
            logger: LoggerSettings::default(),
            http: HttpSettings::default(),
            alert: AlertSettings::default(),
            workers: 0,
            lag_check_interval: Duration::from_secs(3 * 60),
            consumer_lease: Duration::from_secs(5 * 60),
            heartbeat_interval: Duration::from_secs(5),
            delay_concurrency: 1_000,
            misfire_grace: Duration::from_secs(10),
            shutdown_deadline: Duration::from_secs(25),
            cron_command: None,
            delay_retention: None,
            crontab_log_retention: None,
            dead_letter_retention: None,
            audit_retention: Some(AUDIT_KEPT),
            idempotency_retention: Some(KEYS_KEPT),
            reload_on_change: false,
            app: serde_json::Value::Object(serde_json::Map::new()),
            named: NamedServers::default(),
        }
    }
}

impl Settings {
    /// The user's own settings, the key `app`.
    ///
    /// # Errors
    ///
    /// When `app` is not a `T`.
    pub fn app<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.app)
    }

    /// Which servers the file itself names.
    pub(crate) fn named_servers(&self) -> NamedServers {
        self.named
    }

    pub(super) fn read(root: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        root.object(|o| Self::read_keys(o, reading))
    }

    fn read_keys(o: &Object<'_, '_>, reading: &mut Reading<'_>) -> Option<Self> {
        let d = Self::default();
        o.foreign(
            &GO_KEYS,
            "it is the Go project's: `import FILE.yaml` makes this file of its settings",
        );
        // For editors alone.
        o.maybe("$schema", Node::string);
        let database = o.optional("database", d.database, DatabaseSettings::read_own);
        let databases = o.optional("databases", d.databases, |n| {
            named(n, DatabaseSettings::read)
        });
        let redis = o.optional("redis", d.redis, |n| named(n, RedisSettings::read));
        let kafka = o.optional("kafka", d.kafka, |n| named(n, KafkaSettings::read));
        let delayed = o.optional("delayed", d.delayed, |n| delayed::delayed(n, reading));
        let logger = o.optional("logger", d.logger, LoggerSettings::read);
        let http = o.optional("http", d.http, HttpSettings::read);
        let alert = o.optional("alert", d.alert, AlertSettings::read);
        let app = o.optional("app", d.app, Node::json);
        let workers = o.optional("workers", d.workers, |n| n.small(0..=MOST_WORKERS));
        let interval = o.optional("lag_check_interval", d.lag_check_interval, |n| {
            n.duration(&LAG_CHECK_INTERVAL)
        });
        let lease = o.optional("consumer_lease", d.consumer_lease, |n| {
            n.duration(&CONSUMER_LEASE)
        });
        let heartbeat = o.optional("heartbeat_interval", d.heartbeat_interval, |n| {
            n.duration(&HEARTBEAT_INTERVAL)
        });
        let concurrency = o.optional("delay_concurrency", d.delay_concurrency, |n| {
            n.small(1..=MOST_DELAYED)
        });
        let grace = o.optional("misfire_grace", d.misfire_grace, |n| {
            n.duration(&MISFIRE_GRACE)
        });
        let deadline = o.optional("shutdown_deadline", d.shutdown_deadline, |n| {
            n.duration(&SHUTDOWN_DEADLINE)
        });
        let retention = o.maybe("delay_retention", |n| n.duration(&RETENTION));
        let crontab_log_retention = o.maybe("crontab_log_retention", |n| n.duration(&RETENTION));
        let dead_letter_retention = o.maybe("dead_letter_retention", |n| n.duration(&RETENTION));
        let audit_retention = o.optional("audit_retention", d.audit_retention, |n| {
            n.nullable(|n| n.duration(&RETENTION))
        });
        let idempotency_retention =
            o.optional("idempotency_retention", d.idempotency_retention, |n| {
                n.nullable(|n| n.duration(&RETENTION))
            });
        let reload_on_change = o.optional("reload_on_change", d.reload_on_change, Node::boolean);
        let cron_command = o.maybe("cron_command", |n| cron_command(n, reading));
        if let (Some(interval), Some(lease)) = (interval, lease) {
            check_lease(o, interval, lease);
        }
        if let Some(database) = &database {
            let own_is_sqlite = matches!(database.url, DatabaseUrl::Sqlite(_));
            reading.note_idle_settings(o, own_is_sqlite);
        }
        let named = NamedServers {
            redis: o.get("redis").is_some(),
            kafka: o.get("kafka").is_some(),
        };
        Some(Self {
            named,
            database: database?,
            databases: databases?,
            redis: redis?,
            kafka: kafka?,
            delayed: delayed?,
            logger: logger?,
            http: http?,
            alert: alert?,
            app: app?,
            workers: workers?,
            lag_check_interval: interval?,
            consumer_lease: lease?,
            heartbeat_interval: heartbeat?,
            delay_concurrency: concurrency?,
            misfire_grace: grace?,
            shutdown_deadline: deadline?,
            cron_command: cron_command?,
            delay_retention: retention?,
            crontab_log_retention: crontab_log_retention?,
            dead_letter_retention: dead_letter_retention?,
            audit_retention: audit_retention?,
            idempotency_retention: idempotency_retention?,
            reload_on_change: reload_on_change?,
        })
    }
}

/// The keys at the top of the Go project's settings that `import` takes over.
const GO_KEYS: [&str; 6] = ["ExecCmd", "Mysql", "Redis", "Kafka", "Logger", "Robot"];

/// A program that is not there may come with the next deploy, and then is only a note.
fn cron_command(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let command = node.text(LONGEST_PATH)?;
    let path = Path::new(&command);
    if path.is_dir() {
        return node.wanted("a program; this is a directory");
    }
    let found = if command.contains('/') {
        path.exists()
    } else {
        let all = (reading.lookup)("PATH").unwrap_or_default();
        std::env::split_paths(&all).any(|directory| directory.join(path).is_file())
    };
    if !found {
        let shown = quote::name(node.shown(&command));
        reading.notes.push(format!(
            "`cron_command`: there is no file {shown} yet; without it no cron run starts"
        ));
    }
    Some(command)
}

/// The longest path of a system.
const LONGEST_PATH: usize = 4_096;

/// A lease that ends before the next check would end every consumer it is for.
fn check_lease(o: &Object<'_, '_>, interval: Duration, lease: Duration) {
    if lease > interval {
        return;
    }
    let (interval, lease) = (duration::show(interval), duration::show(lease));
    let given = ["consumer_lease", "lag_check_interval"]
        .into_iter()
        .find(|key| o.get(key).is_some());
    let place = o.place_of(given.unwrap_or("consumer_lease"));
    place.fault(format!(
        "`consumer_lease` ({lease}) must be longer than `lag_check_interval` ({interval}), which renews it"
    ));
}

/// An object of named things; all are read, so that all faults are reported.
fn named<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let all: Vec<_> = node
        .entries()?
        .into_iter()
        .map(|(name, node)| (name, read(&node)))
        .collect();
    all.into_iter()
        .map(|(name, value)| Some((name, value?)))
        .collect()
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The user's own settings may hold secrets of any name: only their names are shown.
        let app: Vec<String> = match &self.app {
            serde_json::Value::Object(app) => app.keys().map(|key| quote::short(key)).collect(),
            _ => vec!["***".to_owned()],
        };
        f.debug_struct("Settings")
            .field("database", &self.database)
            .field("databases", &self.databases)
            .field("redis", &self.redis)
            .field("kafka", &self.kafka)
            .field("delayed", &self.delayed)
            .field("logger", &self.logger)
            .field("http", &self.http)
            .field("alert", &self.alert)
            .field("app", &app)
            .field("workers", &self.workers)
            .field("lag_check_interval", &self.lag_check_interval)
            .field("consumer_lease", &self.consumer_lease)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("delay_concurrency", &self.delay_concurrency)
            .field("misfire_grace", &self.misfire_grace)
            .field("shutdown_deadline", &self.shutdown_deadline)
            .field("cron_command", &self.cron_command)
            .field("delay_retention", &self.delay_retention)
            .field("crontab_log_retention", &self.crontab_log_retention)
            .field("dead_letter_retention", &self.dead_letter_retention)
            .field("audit_retention", &self.audit_retention)
            .field("idempotency_retention", &self.idempotency_retention)
            .field("reload_on_change", &self.reload_on_change)
            .finish()
    }
}

#[cfg(test)]
mod tests;
