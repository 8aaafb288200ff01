//! What `check` found, in the form in which `--json` shows it. docs/en/command-line.md lists the keys; a key that is there stays.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::online::Found;
use crate::backoff::Backoff;
use crate::bootstrap::version;
use crate::config::{
    Config, CronEntry, Fault, Misfire, Overlap, Places, PoolLimits, QueueEntry, SourceConfig,
};

/// Raised when a key goes or changes its meaning; new keys do not raise it.
const FORMAT: u32 = 1;
/// How many fires are shown of each entry.
const SHOWN_FIRES: usize = 3;

/// Everything `check` reports about a configuration without faults.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    pub(super) format: u32,
    pub(super) version: &'static str,
    pub(super) features: Vec<&'static str>,
    /// All that was searched for was found.
    pub(super) ok: bool,
    pub(super) environment: String,
    pub(super) partition: String,
    pub(super) etc: String,
    pub(super) queues: Vec<QueueReport>,
    pub(super) crontab: Vec<CronReport>,
    pub(super) notes: Vec<String>,
    /// `null` without `--online`.
    pub(super) online: Option<Vec<Found>>,
}

/// A configuration with faults.
#[derive(Debug, Serialize)]
pub(super) struct Refused<'a> {
    format: u32,
    version: &'static str,
    features: Vec<&'static str>,
    ok: bool,
    environment: String,
    partition: String,
    etc: String,
    faults: &'a [Fault],
}

#[derive(Debug, Serialize)]
pub(super) struct QueueReport {
    pub(super) name: String,
    pub(super) exec_cmd: String,
    pub(super) status: u8,
    pub(super) live: bool,
    pub(super) why_not_live: Option<String>,
    pub(super) source: SourceReport,
    pub(super) pool: PoolReport,
    pub(super) timeout_s: Option<f64>,
    pub(super) max_attempts: u32,
    pub(super) backoff_base_s: f64,
    pub(super) backoff_max_s: f64,
    #[serde(skip)]
    pub(super) backoff: Backoff,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum SourceReport {
    Table {
        table: String,
    },
    Redis {
        key: String,
        server: String,
    },
    Kafka {
        topic: String,
        group_id: String,
        cluster: String,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct PoolReport {
    pub(super) at_rest: u32,
    /// `null`: as many as the topic has partitions.
    pub(super) at_most: Option<u32>,
    pub(super) grows_above_lag: u64,
    pub(super) messages_per_consumer: u64,
    /// From this lag on the pool has all it may have; `null` where it never grows or the topic decides how far.
    pub(super) full_from_lag: Option<u64>,
    pub(super) checked_every_s: f64,
    pub(super) lease_s: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct CronReport {
    pub(super) name: String,
    pub(super) exec_cmd: String,
    pub(super) params: String,
    pub(super) status: u8,
    pub(super) live: bool,
    pub(super) why_not_live: Option<String>,
    pub(super) cron: String,
    pub(super) timezone: String,
    pub(super) is_log: bool,
    pub(super) overlap: &'static str,
    pub(super) misfire: String,
    pub(super) timeout_s: Option<f64>,
    /// The Go project's entry that drives its delay queue: it does nothing here.
    pub(super) drives_delay_queue: bool,
    /// Of an `@every`, which counts from its last fire, else from the start.
    pub(super) every_s: Option<f64>,
    pub(super) next: Vec<FireReport>,
}

/// One moment, as the entry's zone shows it and in UTC.
#[derive(Debug, Serialize)]
pub(super) struct FireReport {
    pub(super) local: String,
    pub(super) utc: String,
    #[serde(skip)]
    pub(super) shown: String,
}

impl<'a> Refused<'a> {
    pub(super) fn new(places: &Places, faults: &'a [Fault]) -> Self {
        Self {
            format: FORMAT,
            version: version::VERSION,
            features: version::features(),
            ok: false,
            environment: places.environment.to_string(),
            partition: places.partition.to_string(),
            etc: places.etc.display().to_string(),
            faults,
        }
    }
}

impl CheckReport {
    pub(super) fn new(config: &Config, places: &Places) -> Self {
        let now = Utc::now();
        Self {
            format: FORMAT,
            version: version::VERSION,
            features: version::features(),
            ok: true,
            environment: config.environment.to_string(),
            partition: config.partition.to_string(),
            etc: places.etc.display().to_string(),
            queues: config
                .queues
                .iter()
                .map(|entry| QueueReport::new(entry, config))
                .collect(),
            crontab: config
                .crontab
                .iter()
                .map(|entry| CronReport::new(entry, config, now))
                .collect(),
            notes: config.notes.clone(),
            online: None,
        }
    }
}

impl QueueReport {
    fn new(entry: &QueueEntry, config: &Config) -> Self {
        Self {
            name: entry.name.clone(),
            exec_cmd: entry.exec_cmd.clone(),
            status: entry.status.bits(),
            live: entry.live,
            why_not_live: (!entry.live).then(|| entry.why_not_live(config.environment)),
            source: SourceReport::new(&entry.source),
            pool: PoolReport::new(&entry.limits, &entry.source, config),
            timeout_s: entry.timeout.map(|timeout| timeout.as_secs_f64()),
            max_attempts: entry.retry.max_attempts.get(),
            backoff_base_s: entry.retry.backoff.base.as_secs_f64(),
            backoff_max_s: entry.retry.backoff.max.as_secs_f64(),
            backoff: entry.retry.backoff,
        }
    }
}

impl SourceReport {
    fn new(source: &SourceConfig) -> Self {
        match source.clone() {
            SourceConfig::Table { table } => Self::Table { table },
            SourceConfig::Redis { key, server } => Self::Redis { key, server },
            SourceConfig::Kafka {
                topic,
                group_id,
                cluster,
            } => Self::Kafka {
                topic,
                group_id,
                cluster,
            },
        }
    }
}

impl PoolReport {
    fn new(limits: &PoolLimits, source: &SourceConfig, config: &Config) -> Self {
        let at_rest = limits.progress.get();
        let at_most = match (limits.max_progress, source) {
            (Some(most), _) => Some(most.get()),
            (None, SourceConfig::Kafka { .. }) => None,
            (None, _) => Some(at_rest),
        };
        Self {
            at_rest,
            at_most,
            grows_above_lag: limits.lag_limit,
            messages_per_consumer: limits.avg_msgcount.get(),
            full_from_lag: at_most.and_then(|most| full_from(limits, most - at_rest)),
            checked_every_s: config.settings.lag_check_interval.as_secs_f64(),
            lease_s: config.settings.consumer_lease.as_secs_f64(),
        }
    }
}

/// The smallest lag that asks for `more` consumers above those at rest; it must be above the limit, too.
fn full_from(limits: &PoolLimits, more: u32) -> Option<u64> {
    if more == 0 {
        return None;
    }
    let needed = u64::from(more).saturating_mul(limits.avg_msgcount.get());
    Some(needed.max(limits.lag_limit.saturating_add(1)))
}

impl CronReport {
    fn new(entry: &CronEntry, config: &Config, now: DateTime<Utc>) -> Self {
        Self {
            name: entry.name.clone(),
            exec_cmd: entry.exec_cmd.clone(),
            params: entry.params.clone(),
            status: entry.status.bits(),
            live: entry.live,
            why_not_live: (!entry.live).then(|| entry.why_not_live(config.environment)),
            cron: entry.expression.clone(),
            timezone: entry.timezone.name().to_owned(),
            is_log: entry.is_log,
            overlap: match entry.overlap {
                Overlap::Allow => "allow",
                Overlap::Forbid => "forbid",
                Overlap::Replace => "replace",
            },
            misfire: match entry.misfire {
                Misfire::Skip => "skip".to_owned(),
                Misfire::Coalesce => "coalesce".to_owned(),
                Misfire::CatchUp(n) => format!("catch_up {n}"),
            },
            timeout_s: entry.timeout.map(|timeout| timeout.as_secs_f64()),
            drives_delay_queue: entry.drives_delay_queue,
            every_s: entry.schedule.every().map(|period| period.as_secs_f64()),
            next: fires(entry, now),
        }
    }
}

fn fires(entry: &CronEntry, now: DateTime<Utc>) -> Vec<FireReport> {
    if entry.drives_delay_queue {
        return Vec::new();
    }
    let first = entry
        .schedule
        .next_after(&now.with_timezone(&entry.timezone));
    std::iter::successors(first, |at| entry.schedule.next_after(at))
        .take(SHOWN_FIRES)
        .map(|at| {
            let utc = at.with_timezone(&Utc);
            FireReport {
                local: at.to_rfc3339_opts(SecondsFormat::Secs, false),
                utc: utc.to_rfc3339_opts(SecondsFormat::Secs, true),
                shown: shown(&at, &utc),
            }
        })
        .collect()
}

/// In the entry's zone and in UTC, which may be the same.
fn shown(at: &DateTime<Tz>, utc: &DateTime<Utc>) -> String {
    let local = at.format("%Y-%m-%d %H:%M:%S %Z").to_string();
    let utc = utc.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    if local == utc {
        local
    } else {
        format!("{local} = {utc}")
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    /// The size of a pool, as `docs/en/configuration.md` gives it.
    fn wanted(limits: &PoolLimits, most: u32, lag: u64) -> u32 {
        let rest = limits.progress.get();
        if lag <= limits.lag_limit {
            return rest;
        }
        let more = u32::try_from(lag / limits.avg_msgcount).unwrap();
        (rest + more).min(most)
    }

    #[test]
    fn the_lag_of_a_full_pool_is_the_smallest_that_fills_it() {
        for (progress, most, lag_limit, avg) in [
            (2, 10, 5000, 1000),
            (1, 3, 9000, 1000),
            (1, 2, 0, 1),
            (3, 7, 10, 3),
        ] {
            let limits = PoolLimits {
                progress: NonZeroU32::new(progress).unwrap(),
                max_progress: NonZeroU32::new(most),
                lag_limit,
                avg_msgcount: NonZeroU64::new(avg).unwrap(),
            };
            let lag = full_from(&limits, most - progress).unwrap();
            assert_eq!(wanted(&limits, most, lag), most);
            assert!(wanted(&limits, most, lag - 1) < most);
        }
    }
}
