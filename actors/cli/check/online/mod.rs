//! Reaches every server that live entries and settings use, all at once, and reports what was found.
//!
//! A server that the settings do not name and no live entry uses is a default nobody needs: it is left alone.

mod database;
mod kafka;
mod own;
mod redis;

use std::future::Future;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture, join_all};
use serde::Serialize;

use crate::bootstrap::plan::consumed_lists;
use crate::config::{Config, Places, QueueEntry, SourceConfig};
use crate::source::Unconsumed;

/// A server that does not answer for this long is not reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server, and what was found there. What does not apply to its kind is left out of the JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Found {
    /// `tables`: the daemon's own database; `database`, `redis`, `kafka`: as in the settings.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Without passwords.
    pub(super) address: String,
    pub(super) reached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) brokers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topics: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pending_migrations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tables: Option<Vec<FoundTable>>,
    /// What lies there where nobody consumes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unconsumed: Vec<Unconsumed>,
    /// The live queue entries that this server serves.
    pub(super) queues: Vec<FoundQueue>,
}

/// A table and its rows, counted up to a cap: one above it means more.
#[derive(Debug, Serialize)]
pub(super) struct FoundTable {
    pub(super) name: String,
    pub(super) rows: u64,
}

/// What a live queue entry reads from.
#[derive(Debug, Default, Serialize)]
pub(super) struct FoundQueue {
    pub(super) queue: String,
    /// The table queue, list or topic.
    pub(super) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partitions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

impl Found {
    /// The server and all that is needed of it are there.
    pub(super) fn ok(&self) -> bool {
        self.reached
            && self.problem.is_none()
            && self.queues.iter().all(|queue| queue.problem.is_none())
    }

    fn new(kind: &'static str, name: &str, address: String) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            address,
            ..Self::default()
        }
    }

    fn failed(self, problem: impl ToString) -> Self {
        Self {
            reached: false,
            problem: Some(problem.to_string()),
            ..self
        }
    }
}

/// Asks all of them. To be called inside a System.
pub(super) async fn inspect(config: &Config, places: &Places) -> Vec<Found> {
    let settings = &config.settings;
    let named = settings.named_servers();
    let mut asked: Vec<LocalBoxFuture<'_, Found>> =
        vec![own::inspect(config, places).boxed_local()];
    for (name, settings) in &settings.databases {
        asked.push(database::inspect(name, settings).boxed_local());
    }
    for (name, settings) in &settings.redis {
        let keys = sources(config, |source| match source {
            SourceConfig::Redis { key, server } if server == name => Some(key),
            _ => None,
        });
        if named.redis || !keys.is_empty() {
            asked.push(
                redis::inspect(name, settings, keys, consumed_lists(config, name)).boxed_local(),
            );
        }
    }
    for (name, settings) in &settings.kafka {
        if named.kafka || kafka::entries(config, name).next().is_some() {
            asked.push(kafka::inspect(config, name, settings).boxed_local());
        }
    }
    join_all(asked).await
}

/// The live entries whose source is of this server, as (entry, source).
fn sources(
    config: &Config,
    of_server: impl Fn(&SourceConfig) -> Option<&String>,
) -> Vec<FoundQueue> {
    let live = config.live_queues();
    let found = |entry: &QueueEntry| {
        let source = of_server(&entry.source)?;
        Some(FoundQueue {
            queue: entry.name.clone(),
            source: source.clone(),
            ..FoundQueue::default()
        })
    };
    live.filter_map(found).collect()
}

/// What a server answered in time.
async fn in_time<T>(asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}
