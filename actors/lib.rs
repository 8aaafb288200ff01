#![doc = include_str!("../README.md")]

mod address;
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "what raises alerts comes after what sends them")
)]
mod alert;
mod app;
mod backoff;
mod bootstrap;
mod cli;
mod clock;
mod clock_watch;
mod config;
mod consumer;
pub mod cron;
mod db;
mod delay_queue;
mod drop_notice;
mod http;
mod job;
mod jsonc;
mod limits;
mod logs;
mod membership;
mod moment;
mod operations;
mod orders;
mod outage;
mod own_code;
mod poison;
mod pool;
mod presence;
mod private;
mod rate;
mod reload;
mod schedule;
#[cfg(test)]
#[path = "../tests/servers/mod.rs"]
mod servers;
mod settler;
mod sleep;
mod source;
mod state;
mod stop;
mod store;
mod supervisor;
mod task;
#[cfg(test)]
mod testing_support;
mod trace;
mod workers;

pub use alert::warning::{Added, Warning, WarningError};
pub use app::{App, Context, Database, Pooled};
pub use config::{Environment, Partition, Secret, Settings};
pub use delay_queue::{DelayQueueActor, Push, PushError, PushItem, PushRow, delay_queue_log};
pub use job::{
    BatchOutcome, BoxError, FromJob, Job, JobError, JobResult, Json, Message, MessageSource, Run,
    SourceKind, Task,
};
pub use logs::{Logger, logger};
pub use source::SendError;
pub use store::DbError;
pub use trace::Trace;

/// The parts of [`Settings`].
pub mod settings {
    pub use crate::backoff::Backoff;
    pub use crate::config::{
        AlertRules, AlertSettings, AlertSeverity, BadBrokers, BadDatabaseUrl, BadPartition,
        Brokers, CronRule, DatabaseSettings, DatabaseUrl, DelayedSettings, DiskRule, EventRule,
        HttpSettings, KafkaSettings, LagRule, LateRule, LoggerSettings, OutageRule, Ping,
        RedisSettings, RestartRule, RetryRules, UnknownEnvironment, Webhook, WebhookAuth,
        WebhookKind,
    };
}

/// The readers of the configuration and of expressions, for `fuzz/`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::config::fuzzing::configuration;
    pub use crate::schedule::fuzzing::schedule;
}

/// The Rust of the other documents, which `cargo test --doc` compiles as it does README's.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/en/handlers.md")]
    struct Handlers;
    #[doc = include_str!("../MIGRATING.md")]
    struct Migrating;
}

/// Trying handlers without a daemon.
pub mod testing {
    pub use crate::app::Harness;
}
