//! `etc/queue_{partition}.json`: the queues this partition consumes.

use std::{
    collections::HashMap,
    num::{NonZeroU32, NonZeroU64},
    ops::RangeInclusive,
    time::Duration,
};

use super::Reading;
use super::commands::Kind;
use super::environment::{Environment, StatusBits};
use super::rate::RateLimit;
use super::retry::{self, RetryRules};
use super::source::SourceConfig;
use crate::jsonc::duration::Bounds;
use crate::jsonc::fault::Place;
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::quote;

/// The longest name and command: `crontab_log` keeps both in columns of this size or larger, and
/// the dead letters do the same.
const LONGEST_NAME: usize = 255;

/// The most consumers of a pool: each holds a mailbox and a connection or partition; Kafka topics
/// of this many partitions do not exist.
const MOST_CONSUMERS: u64 = 10_000;

/// Lags are signed 64-bit numbers in Kafka.
const MOST_MESSAGES: u64 = i64::MAX as u64;

/// The largest batch: what one handler call holds in memory.
const MOST_BATCHED: u64 = 10_000;

/// Bytes of one fetch and of one batch. Less would fetch small messages in many portions; a gigabyte is the largest value
/// that a database hands out at once.
const BATCH_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 30;

const BATCH_WAIT: Bounds = Bounds {
    least: Duration::ZERO,
    most: Duration::from_secs(60 * 60),
    why: "0 does not wait for a batch to fill",
};

/// One queue with its pool of consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueEntry {
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) source: SourceConfig,
    pub(crate) limits: PoolLimits,
    pub(crate) status: StatusBits,
    pub(crate) live: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryRules,
    pub(crate) batch: BatchLimits,
    /// Starts over all daemons at most.
    pub(crate) rate_limit: Option<RateLimit>,
}

/// What the size of a pool depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// Consumers at rest.
    pub(crate) progress: NonZeroU32,
    /// The ceiling; never below `progress`.
    pub(crate) max_progress: Option<NonZeroU32>,
    /// A lag above this grows the pool.
    pub(crate) lag_limit: u64,
    /// Messages one consumer is expected to work off.
    pub(crate) avg_msgcount: NonZeroU64,
}

/// What a batch handler gets at once, and what one fetch brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    pub(crate) size: NonZeroU32,
    /// How long a batch waits to fill.
    pub(crate) wait: Duration,
    /// Bytes of payloads, keys and headers at most. A message that is larger comes alone.
    pub(crate) bytes: u32,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            size: NonZeroU32::MIN.saturating_add(99),
            wait: Duration::from_millis(100),
            bytes: 16 << 20,
        }
    }
}

impl QueueEntry {
    /// Why an entry that is not live is not.
    pub(crate) fn why_not_live(&self, environment: Environment) -> String {
        self.status.why_not_live(&self.name, environment)
    }
}

/// Reads all entries of the file.
pub(super) fn read(root: &Node<'_>, reading: &mut Reading<'_>) -> Vec<QueueEntry> {
    let mut seen = Seen::default();
    let entries = root.array().unwrap_or_default();
    entries
        .iter()
        .filter_map(|node| node.object(|o| entry(node, o, &mut seen, reading)))
        .collect()
}

fn entry(
    node: &Node<'_>,
    o: &Object<'_, '_>,
    seen: &mut Seen,
    reading: &mut Reading<'_>,
) -> Option<QueueEntry> {
    let name = o.required("name", "a name for people, unique in the file", |n| {
        n.name(LONGEST_NAME)
    });
    let exec_cmd = o.required("exec_cmd", "the registered consumer", |n| {
        n.may_be(&reading.commands.consumers);
        n.text(LONGEST_NAME)
    });
    let source = SourceConfig::read(node, o);
    let limits = PoolLimits::read(o);
    let status = o.required("status", STATUS, StatusBits::read);
    let timeout = retry::timeout(o);
    let retry = RetryRules::read(o);
    let batch = BatchLimits::read(o);
    let rate_limit = o.maybe("rate_limit", RateLimit::read);

    if let Some(name) = &name {
        seen.name(o, name);
    }
    if let (Some(source), Some(status)) = (&source, status) {
        seen.source(node, source);
        check_server(o, source, status, name.as_deref(), reading);
    }
    if let (Some(exec_cmd), Some(status)) = (&exec_cmd, status) {
        reading.check_command(o, Kind::Consumer, exec_cmd, status, name.as_deref());
    }
    let live = status?.contains(reading.environment);
    if let (Some(name), Some(exec_cmd), Some(batch), Some(retry), true) =
        (&name, &exec_cmd, batch, retry, live)
    {
        reading.note_idle_batch_keys(o, name, exec_cmd, batch);
        reading.note_idle_retry_keys(o, &quote::name(name), retry);
    }
    Some(QueueEntry {
        live,
        name: name?,
        exec_cmd: exec_cmd?,
        source: source?,
        limits: limits?,
        status: status?,
        timeout: timeout?,
        retry: retry?,
        batch: batch?,
        rate_limit: rate_limit?,
    })
}

/// What `status` is, for who left it out; crontab entries have it too.
pub(super) const STATUS: &str =
    "where the entry is live, the sum of dev 1, test 2, release 4, pre 8; 0 for nowhere";

/// The settings of this environment need not know the servers of entries live only in others.
fn check_server(
    o: &Object<'_, '_>,
    source: &SourceConfig,
    status: StatusBits,
    name: Option<&str>,
    reading: &mut Reading<'_>,
) {
    // Behind a thousand faults nothing is searched for that takes as long as this.
    if o.here().is_full() {
        return;
    }
    let unknown = reading
        .servers
        .as_ref()
        .and_then(|servers| source.unknown_server(servers));
    if let Some((key, message)) = unknown {
        reading.fault_or_note(&o.place_of(key), status, name, message);
    }
}

impl PoolLimits {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let consumers = |node: &Node<'_>| node.positive(MOST_CONSUMERS);
        let progress = o.required(
            "progress",
            "the number of consumers at rest, 1 or more",
            consumers,
        );
        let max_progress = o.maybe("max_progress", consumers);
        let lag_limit = o.required(
            "progress_lag_limit",
            "the lag above which the pool grows, 0 or more",
            |node| node.integer(0..=MOST_MESSAGES),
        );
        let avg_msgcount = o.required(
            "progress_avg_msgcount",
            "how many messages one consumer is expected to work off, 1 or more",
            |node| node.positive(MOST_MESSAGES),
        );
        let (progress, max_progress): (NonZeroU32, Option<NonZeroU32>) = (progress?, max_progress?);
        if max_progress.is_some_and(|max| max < progress) {
            let what = format!("at least `progress`, which is {progress}");
            return o.place_of("max_progress").wanted(what);
        }
        Some(Self {
            progress,
            max_progress,
            lag_limit: lag_limit?,
            avg_msgcount: avg_msgcount?,
        })
    }
}

impl BatchLimits {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let default = Self::default();
        let size = o.optional("batch_size", default.size, |node| {
            node.positive(MOST_BATCHED)
        });
        let wait = o.optional("batch_wait", default.wait, |node| {
            node.duration(&BATCH_WAIT)
        });
        let bytes = o.optional("batch_bytes", default.bytes, |node| node.small(BATCH_BYTES));
        Some(Self {
            size: size?,
            wait: wait?,
            bytes: bytes?,
        })
    }
}

/// Names and sources of the entries before, with their places.
#[derive(Default)]
struct Seen {
    names: HashMap<String, Place>,
    sources: HashMap<SourceConfig, Place>,
}

impl Seen {
    fn name(&mut self, o: &Object<'_, '_>, name: &str) {
        let node = o.place_of("name");
        if let Some(first) = self.names.get(name) {
            let name = quote::name(name);
            node.fault(format!(
                "{name} is the name of another entry, first at {first}; names are unique"
            ));
        } else {
            self.names.insert(name.to_owned(), node.place());
        }
    }

    /// Entries of one source are duplicates wherever they are live: one entry can name several environments.
    fn source(&mut self, node: &Node<'_>, source: &SourceConfig) {
        if let Some(first) = self.sources.get(source) {
            node.fault(format!(
                "another entry has this source, first at {first}; leave one of them out, the `status` of the other can \
                 be a sum"
            ));
        } else {
            self.sources.insert(source.clone(), node.place());
        }
    }
}

#[cfg(test)]
mod tests;
