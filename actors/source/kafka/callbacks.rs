//! librdkafka's callbacks: assigned and revoked partitions, commits, errors, its own log.
//!
//! All callbacks but those for errors of a partition run on the member's thread, in its `poll`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};

use super::made_again::Beginnings;
use super::partition_queue::RdkafkaRecordQueue;
use super::shared::Shared;
use super::{commit, crashes, made_again, resume, start};
use crate::task::restart_on_panic;

/// The time for running handlers before their partition goes to another member, which then starts behind their records. A
/// record whose handler takes longer runs there again.
const HANDOVER: Duration = Duration::from_secs(5);

/// The facility of librdkafka's log lines about it, at the level of a warning.
const OFFSET_RESET: &str = "OFFSET";

pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// The client that this belongs to.
    pub(super) consumer: OnceLock<Weak<BaseConsumer<Self>>>,
    /// Whether the last partitions that went were lost with the session, not revoked.
    pub(super) lost: AtomicBool,
    /// The partitions of the present assignment, and where they begin.
    pub(super) coming: Mutex<Option<(Vec<i32>, Beginnings)>>,
}

impl Context {
    /// Splits the assigned partitions off before librdkafka begins to fetch: records that it had fetched by then would come
    /// by the main queue.
    fn assigned(&self, base: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let (shared, partitions) = (&self.shared, &*self.partitions(list));
        // None while the member ends.
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else {
            return;
        };
        let before = shared.topic_id();
        let beginnings = made_again::resolve(base, shared, partitions);
        // The runs here are of the topic that was deleted. Their offsets are those of other records now.
        match (before, shared.topic_id()) {
            (Some(before), Some(now)) if before != now => shared.assignments().forget_runs(),
            _ => shared.assignments().forget_runs_of(&beginnings.anew),
        }
        if !start::resolve(base, shared, partitions) {
            return shared.leave_unsettled();
        }
        // The older queues go first: dropping one would switch off the callback of its successor.
        shared.remove(partitions);
        for partition in partitions {
            let place = (&*shared.topic, *partition);
            match RdkafkaRecordQueue::new(&consumer, place, Arc::clone(&shared.news)) {
                Some(partition_queue) => shared.assignments().assign(*partition, partition_queue),
                None => log::error!(
                    "queue `{}`: librdkafka gives no queue for partition {partition}, whose records wait",
                    shared.queue
                ),
            }
        }
        shared.assignments().resume(&beginnings.positions);
        resume::begin_at(list, &beginnings.positions);
        *self.coming.lock() = Some((partitions.to_vec(), beginnings));
    }

    /// librdkafka fetches from the partitions. No record is given out before their positions are known to be right.
    fn begin(&self, base: &BaseConsumer<Self>) {
        let Some((partitions, Beginnings { anew, positions })) = self.coming.lock().take() else {
            return;
        };
        let left = resume::validate(base, &self.shared, &positions);
        if !left.is_empty() && !self.shared.closing() {
            let partitions: Vec<i32> = left.iter().map(|one| one.partition).collect();
            log::warn!(
                "queue `{}`: partitions {partitions:?} of `{}` are read without having asked the brokers whether their logs were cut off before the group's positions",
                self.shared.queue,
                self.shared.topic
            );
        }
        let shared = Arc::clone(&self.shared);
        self.shared.home.spawn(async move {
            let load = || crashes::load(Arc::clone(&shared), partitions.clone(), anew.clone());
            restart_on_panic("the reading of crash counts", load).await;
        });
    }

    /// No record of these partitions starts any more. Running records have [`HANDOVER`]. Then the positions are committed, so
    /// that the next owner begins there.
    fn revoked(&self, base: &BaseConsumer<Self>, partitions: &[i32]) {
        let shared = &self.shared;
        shared.assignments().stop_feeding(partitions);
        // Where they were lost, other members have them already, and the brokers refuse our commits.
        let lost = base.assignment_lost();
        self.lost.store(lost, Ordering::Relaxed);
        if !lost {
            shared.wait_until_settled(partitions, Instant::now() + HANDOVER);
            commit::now(base, shared, |partition| partitions.contains(&partition));
        }
        let running = shared.remove(partitions);
        if running > 0 {
            log::warn!(
                "queue `{}`: {running} records run on though their partitions went to others, where they run again; partitions that come back wait for their ends",
                shared.queue
            );
        }
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<i32> {
        let ours = list.elements_for_topic(&self.shared.topic);
        ours.iter().map(|element| element.partition()).collect()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        if fac == OFFSET_RESET && level as i32 <= RDKafkaLogLevel::Warning as i32 {
            // librdkafka reports no error for it, although records are skipped, or come again.
            return log::warn!(
                "queue `{}`: a position of its group is not in the log, and `auto.offset.reset` decides: {message}",
                self.shared.queue
            );
        }
        log::debug!(target: "librdkafka", "queue `{}`: {fac} {message}", self.shared.queue);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.shared.health.reported(code, reason);
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, base: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(base, list),
            Rebalance::Revoke(list) => self.revoked(base, &self.partitions(list)),
            Rebalance::Error(cause) => {
                log::warn!(
                    "queue `{}`: its group cannot share out partitions: {cause}",
                    self.shared.queue
                );
            }
        }
    }

    fn post_rebalance(&self, base: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            // The brokers are away, and the session is over: the pool keeps its size until the next assignment.
            Rebalance::Revoke(_) if self.lost.load(Ordering::Relaxed) => {
                self.shared.health.lost_group();
            }
            Rebalance::Error(_) => {}
            Rebalance::Revoke(_) => {
                // Eager members give up all partitions for the next assignment. Cooperative ones keep the rest.
                if matches!(base.rebalance_protocol(), RebalanceProtocol::Eager) {
                    self.shared.health.asks_group();
                }
                self.shared.rebalanced();
            }
            Rebalance::Assign(_) => {
                self.begin(base);
                self.shared.rebalanced();
                let partitions = self.shared.assignments().partitions();
                self.shared.stand_at_most(|one| partitions.contains(&one));
                self.shared.health.shared_out(!partitions.is_empty());
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        commit::answered(&self.shared, &result, offsets);
    }
}
