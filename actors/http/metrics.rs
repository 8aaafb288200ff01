//! The state as Prometheus reads it.
//!
//! Nothing is counted for it: each scrape writes down what is published. Labels are names of the configuration, and
//! words of ours.

mod families;
mod of_process;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;

use self::families::{Families, Labels, float, seconds};
use self::of_process::OfProcess;
use super::HttpConfig;
use super::process::Process;
use crate::membership::Ownership;
use crate::state::view::{CronView, DelayView, QueueView};
use crate::state::{CronFacts, Identity, commits, outages};

/// What every name begins with.
const PREFIX: &str = "simplest_script";

/// The first characters of a key, by which entries of one name are distinguished.
const SHORT_KEY: usize = 8;

/// The delay queue is counted each 30 seconds. A count that is older than this is outdated: the database is
/// away.
const OLD_COUNT_MS: i64 = 120_000;

/// The metrics in the text format.
pub(super) fn text(config: &HttpConfig) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let mut ours = Registry::with_prefix(PREFIX);
    ours.register_collector(Box::new(Scrape::of(config)));
    prometheus_text::encode(&mut text, &ours)?;
    let mut of_process = Registry::with_prefix("process");
    of_process.register_collector(Box::new(OfProcess {
        process: Process::read(),
        started_ms: config.state.identity.started_ms,
    }));
    prometheus_text::encode(&mut text, &of_process)?;
    Ok(text)
}

/// Everything at the moment of a scrape.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) identity: Identity,
    pub(super) queues: Vec<QueueView>,
    pub(super) cron: Vec<CronView>,
    pub(super) delay: DelayView,
    pub(super) dead_letters: Option<u64>,
    pub(super) pending_writes: usize,
    pub(super) heartbeats_hold: bool,
    pub(super) now_ms: i64,
}

impl Scrape {
    fn of(config: &HttpConfig) -> Self {
        let state = &config.state;
        let liveness = &config.liveness;
        let ownership = liveness.ownership(liveness.generation());
        Self {
            identity: state.identity.clone(),
            queues: state.queues().iter().map(|queue| queue.figures()).collect(),
            cron: state.cron().iter().map(|entry| entry.figures()).collect(),
            delay: state.delay.view(),
            dead_letters: *state.dead_letters.lock(),
            pending_writes: config.db.pending(),
            heartbeats_hold: ownership == Ownership::Held,
            now_ms: crate::clock::now_ms(),
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families(encoder);
        let build: Labels<'_, 1> = [("version", self.identity.version)];
        families.gauges("build_info", "The version that runs.", [(build, 1.0)])?;
        self.queue_counts(&mut families)?;
        self.queue_gauges(&mut families)?;
        self.cron_entries(&mut families)?;
        self.delay_queue(&mut families)?;
        self.rest(&mut families)
    }
}

impl Scrape {
    fn queue_counts(&self, families: &mut Families<'_>) -> fmt::Result {
        let outcomes = self.queues.iter().flat_map(|queue| {
            let (name, counts) = (queue.facts.name.as_str(), &queue.counts);
            [
                ("completed", counts.completed),
                ("retried", counts.retried),
                ("dead_lettered", counts.dead_lettered),
                ("released", counts.released),
            ]
            .map(|(outcome, n)| ([("queue", name), ("outcome", outcome)], n))
        });
        families.counters(
            "queue_messages",
            "Deliveries of messages by what became of them, counted when that is settled.",
            outcomes,
        )?;
        let causes = self.queues.iter().flat_map(|queue| {
            let (name, counts) = (queue.facts.name.as_str(), &queue.counts);
            [
                ("error", counts.errors),
                ("timeout", counts.timeouts),
                ("panic", counts.panics),
            ]
            .map(|(cause, n)| ([("queue", name), ("cause", cause)], n))
        });
        families.counters("queue_failures", "Failed attempts by their cause.", causes)?;
        let handler = self.each_queue(|queue| queue.counts.handler);
        families.histograms(
            "queue_handler_seconds",
            "How long calls of the handler took; a batch is one call.",
            handler,
        )?;
        // Of Redis lists nobody knows when a message came.
        let timed = self
            .queues
            .iter()
            .filter(|queue| queue.facts.kind != "redis");
        let waited = timed.map(|queue| ([("queue", &*queue.facts.name)], queue.counts.waited));
        families.histograms(
            "queue_wait_seconds",
            "How long messages waited from their arrival to the call of the handler.",
            waited,
        )
    }

    fn each_queue<T>(
        &self,
        value: impl Fn(&QueueView) -> T,
    ) -> impl Iterator<Item = (Labels<'_, 1>, T)> {
        let queues = self.queues.iter();
        queues.map(move |queue| ([("queue", queue.facts.name.as_str())], value(queue)))
    }

    fn queue_gauges(&self, families: &mut Families<'_>) -> fmt::Result {
        let known = self.queues.iter().filter_map(|queue| {
            let labels: Labels<'_, 1> = [("queue", &queue.facts.name)];
            Some((labels, float(queue.lag?)))
        });
        families.gauges(
            "queue_lag",
            "Unfinished messages at the last LagCheck; of tables counted up to a cap. Absent while it cannot be read.",
            known,
        )?;
        let oldest = self.queues.iter().filter_map(|queue| {
            let labels: Labels<'_, 1> = [("queue", &queue.facts.name)];
            Some((labels, seconds(queue.oldest_age_ms?)))
        });
        families.gauges(
            "queue_oldest_message_seconds",
            "How long ago the oldest message came: of tables the one that waited for longest at the last LagCheck, of tables and topics the oldest that is handled.",
            oldest,
        )?;
        families.gauges(
            "queue_lag_limit",
            "The lag above which the pool grows.",
            self.each_queue(|queue| float(queue.facts.lag_limit)),
        )?;
        families.gauges(
            "queue_in_flight",
            "Messages that were fetched and are not durably settled.",
            self.each_queue(|queue| float(queue.in_flight)),
        )?;
        families.gauges(
            "queue_consumers_wanted",
            "Consumers that there should be.",
            self.each_queue(|queue| f64::from(queue.consumers_wanted)),
        )?;
        families.gauges(
            "queue_consumers_present",
            "Consumers that there are.",
            self.each_queue(|queue| f64::from(queue.consumers_present)),
        )?;
        families.gauges(
            "queue_consumers_max",
            "The most consumers that there may be; 0 while this process has no partition of the topic.",
            self.each_queue(|queue| f64::from(queue.consumers_ceiling)),
        )?;
        families.gauges(
            "queue_consumers_busy",
            "Consumers that have a message.",
            self.each_queue(|queue| f64::from(queue.consumers_busy)),
        )?;
        families.gauges(
            "queue_oldest_run_seconds",
            "How long the consumer that is busy for longest has been so.",
            self.each_queue(|queue| {
                let since = queue.busy_since_ms;
                since.map_or(0.0, |since| seconds(self.now_ms - since).max(0.0))
            }),
        )?;
        families.counters(
            "queue_lag_unread",
            "LagChecks that could not read the lag.",
            self.each_queue(|queue| queue.unread_lags),
        )
    }

    fn cron_entries(&self, families: &mut Families<'_>) -> fmt::Result {
        let names = names(&self.cron);
        let each = || names.iter().map(String::as_str).zip(&self.cron);
        let outcomes = each().flat_map(|(name, entry)| {
            let fires = &entry.fires;
            [
                ("success", fires.success),
                ("failed", fires.failed),
                ("timeout", fires.timeout),
                ("killed", fires.killed),
                ("lost", fires.lost),
                ("skipped", fires.skipped),
                ("missed", fires.missed),
            ]
            .map(|(outcome, n)| ([("entry", name), ("outcome", outcome)], n))
        });
        families.counters(
            "cron_fires",
            "Fires by what became of them, counted when the process has ended.",
            outcomes,
        )?;
        families.histograms(
            "cron_lateness_seconds",
            "From the scheduled second to the start of the process.",
            each().map(|(name, entry)| ([("entry", name)], entry.lateness)),
        )?;
        families.histograms(
            "cron_duration_seconds",
            "How long runs took.",
            each().map(|(name, entry)| ([("entry", name)], entry.duration)),
        )?;
        let at = |time: Option<i64>| time.map(seconds);
        families.gauges(
            "cron_last_success_timestamp_seconds",
            "When a run last ended well, since this daemon began.",
            each().filter_map(|(name, e)| Some(([("entry", name)], at(e.last_success_ms)?))),
        )?;
        families.gauges(
            "cron_next_fire_timestamp_seconds",
            "When the entry is due next.",
            each().filter_map(|(name, e)| Some(([("entry", name)], at(e.next_fire_ms)?))),
        )?;
        families.gauges(
            "cron_running",
            "Runs that go on.",
            each().map(|(name, entry)| {
                let running = u64::try_from(entry.running_count).unwrap_or(0);
                ([("entry", name)], float(running))
            }),
        )
    }

    fn delay_queue(&self, families: &mut Families<'_>) -> fmt::Result {
        let delay = &self.delay;
        let outcomes = [
            ("done", delay.tasks.done),
            ("retried", delay.tasks.retried),
            ("dead_lettered", delay.tasks.dead_lettered),
            ("released", delay.tasks.released),
        ];
        families.counters(
            "delay_tasks",
            "Delayed tasks by what became of them, counted when that is in the database.",
            outcomes.map(|(outcome, n)| ([("outcome", outcome)], n)),
        )?;
        families.histograms(
            "delay_lateness_seconds",
            "From the due time of delayed tasks to their start.",
            [([], delay.lateness)],
        )?;
        families.histograms(
            "delay_handler_seconds",
            "How long handlers of delayed tasks took.",
            [([], delay.handler)],
        )?;
        let running = u64::try_from(delay.running_count).unwrap_or(0);
        families.gauge("delay_running", "Delayed tasks that run.", float(running))?;
        let is_known = |counted_ms: i64| self.now_ms - counted_ms < OLD_COUNT_MS;
        if let Some(waiting) = delay.waiting
            && delay.counted_ms.is_some_and(is_known)
        {
            families.gauge(
                "delay_waiting",
                "Delayed tasks that wait, counted up to 100,001.",
                float(waiting),
            )?;
            families.gauge(
                "delay_oldest_overdue_seconds",
                "How long the oldest waiting task was past its time at the last count, each 30 s.",
                delay
                    .overdue_ms()
                    .map_or(0.0, |late| seconds(late).max(0.0)),
            )?;
        }
        Ok(())
    }

    fn rest(&self, families: &mut Families<'_>) -> fmt::Result {
        if let Some(dead_letters) = self.dead_letters {
            families.gauge(
                "dead_letters",
                "Dead letters, counted up to 100,001.",
                float(dead_letters),
            )?;
        }
        let pending = u64::try_from(self.pending_writes).unwrap_or(0);
        families.gauge(
            "database_pending_writes",
            "Writes that wait for their commit.",
            float(pending),
        )?;
        families.histograms(
            "database_commit_seconds",
            "How long transactions took.",
            [([], commits().seconds())],
        )?;
        families.counters(
            "database_writes",
            "Writes that were committed or refused.",
            [([], commits().writes())],
        )?;
        families.gauge(
            "heartbeats_hold",
            "1 while what this daemon claims may start.",
            f64::from(u8::from(self.heartbeats_hold)),
        )?;
        let away = u64::try_from(outages().list().len()).unwrap_or(0);
        families.gauge("outages", "What is away now.", float(away))?;
        families.counters(
            "outages_begun",
            "Outages that began since this daemon did.",
            [([], outages().begun())],
        )
    }
}

/// Names of cron entries for labels. Those that share a name have the beginning of their keys behind it, which stays
/// when the order in the file changes, and is lengthened until no other entry is called so: Prometheus refuses a page
/// that has a series twice.
fn names(entries: &[CronView]) -> Vec<String> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in entries {
        *times.entry(&entry.facts.name).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = times.keys().map(|name| (*name).to_owned()).collect();
    let mut distinct = |facts: &CronFacts| {
        let short = facts.key.get(..SHORT_KEY).unwrap_or(&facts.key);
        let mut label = format!("{} ({short})", facts.name);
        while !taken.insert(label.clone()) {
            label.push('+');
        }
        label
    };
    let label = |entry: &CronView| match times[&*entry.facts.name] {
        1 => entry.facts.name.clone(),
        _ => distinct(&entry.facts),
    };
    entries.iter().map(label).collect()
}
