//! Queries by which the member's thread, between its polls, confirms a problem and notices its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::callbacks::Context;
use super::health::{Brokers, Problem};
use super::probe::{Lack, probe};
use super::shared::Shared;

/// The time for a broker to answer a query of ours.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two queries while there is a problem. librdkafka's own refresh is slower.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Between two queries while there is no problem. A broker that hangs is reported as away after this time and a few queries
/// more.
const QUESTION_INTERVAL: Duration = Duration::from_secs(10);
/// The time for each query about a silent group, which a thread of its own sends.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// See the module's header.
pub(super) struct Watch<'a> {
    config: &'a ClientConfig,
    next_poll: Instant,
    next_question: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn new(config: &'a ClientConfig) -> Self {
        let now = Instant::now();
        Self {
            config,
            next_poll: now,
            next_question: now + QUESTION_INTERVAL,
        }
    }

    /// Sends the queries that are due. Blocks for a second at most, unless it requests the metadata of all topics.
    pub(super) fn poll(&mut self, consumer: &BaseConsumer<Context>, shared: &Arc<Shared>) {
        let brokers = shared.health.brokers();
        let in_doubt = matches!(brokers, Brokers::InDoubt { .. });
        let now = Instant::now();
        if !in_doubt && now < self.next_poll {
            return;
        }
        if brokers != Brokers::Answer || now >= self.next_question {
            match consumer.fetch_metadata(Some(&shared.topic), PATIENCE) {
                Ok(_) => shared.health.answered(),
                Err(_) => shared.health.unanswered(),
            }
            self.next_question = Instant::now() + QUESTION_INTERVAL;
        }
        if shared.health.held_up() == Some(Problem::Topic) {
            search_for_topic(consumer, shared);
        }
        shared.health.remind();
        if shared.health.must_probe(Instant::now()) {
            self.probe(shared);
        }
        self.next_poll = Instant::now() + POLL_INTERVAL;
    }

    /// Examines the group, on a thread of its own that no caller waits for.
    fn probe(&self, shared: &Arc<Shared>) {
        let (config, shared) = (self.config.clone(), Arc::clone(shared));
        let ask = move || {
            let found = probe(&config, &shared.topic, &shared.group, PROBE_PATIENCE);
            shared.health.probed(found);
        };
        let thread = std::thread::Builder::new().name("kafka-probe".to_owned());
        // The group is examined again after a minute.
        if let Err(cause) = thread.spawn(ask) {
            log::debug!("no thread to ask about a group: {cause}");
        }
    }
}

/// Checks that every leader of the topic answers. A leader that is away is no outage of all brokers, and the group goes on,
/// but its partitions are not consumed. Blocks its thread.
pub(super) fn probe_leaders(shared: &Shared, config: &ClientConfig, they_answer: bool) {
    let health = &shared.health;
    if they_answer {
        health.leaders_answer();
    } else if health.is_well()
        && !shared.closing()
        && let Err(lack @ (Lack::LeaderAway { .. } | Lack::Leader(_) | Lack::Advertised { .. })) =
            probe(config, &shared.topic, &shared.group, PROBE_PATIENCE)
    {
        health.leader_away(&lack);
    }
}

fn search_for_topic(consumer: &BaseConsumer<Context>, shared: &Shared) {
    // The metadata of all topics: only after these librdkafka evaluates its subscription anew.
    if let Ok(metadata) = consumer.fetch_metadata(None, PATIENCE) {
        let is_there = |topic: &rdkafka::metadata::MetadataTopic| {
            topic.name() == &*shared.topic && topic.error().is_none()
        };
        if metadata.topics().iter().any(is_there) {
            shared.health.found_topic();
        }
    }
}
