//! The thread of the group's member: one for each pool of each process, with any number of consumers.
//!
//! It polls the main queue all the time, so the group considers the member alive whatever handlers do. Partitions are
//! assigned and revoked in callbacks of that poll (`callbacks.rs`). Each second it commits the positions.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};

use super::callbacks::Context;
use super::health::Brokers;
use super::record::Record;
use super::remedy;
use super::shared::Shared;
use super::watching::Watch;
use super::{commit, made_again, resume, unpositioned};
use crate::source::arena::Pieces;
use crate::task::{caught_call, panic_point};

/// The longest poll, after which a stop is noticed. Everything else wakes the poll.
const POLL: Duration = Duration::from_millis(50);
/// Time between two commits. After a crash, records that were finished within this time run twice, and those in flight.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two checks whether the topic was deleted and made again. Records that the new topic gets within this time
/// may run twice.
const TOPIC_INTERVAL: Duration = Duration::from_secs(5);
/// The longest that other threads use the client, for the lag.
const RETURN_OF_CLIENT: Duration = Duration::from_secs(30);
const RETURN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Runs until the source is closed.
pub(super) fn run(shared: &Arc<Shared>, config: &ClientConfig) {
    while !shared.closing() {
        let ended = caught_call(|| {
            let consumer = create(shared, config).map_err(|cause| cause.to_string())?;
            serve(shared, config, consumer)
        });
        let why = match ended {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(panic) => {
                // Its client was closed on the way. The next client gets a new assignment.
                let partitions = shared.assignments().partitions();
                shared.remove(&partitions);
                shared.rebalanced();
                panic
            }
        };
        let pause = shared
            .health
            .broken(&format!("its member cannot go on and is made anew: {why}"));
        sleep(shared, pause);
    }
    shared.ended.send_replace(true);
}

fn create(shared: &Arc<Shared>, config: &ClientConfig) -> KafkaResult<Arc<BaseConsumer<Context>>> {
    let context = Context {
        shared: Arc::clone(shared),
        consumer: OnceLock::new(),
        lost: AtomicBool::new(false),
        coming: Mutex::default(),
    };
    let consumer: Arc<BaseConsumer<Context>> = Arc::new(config.create_with_context(context)?);
    let _ = consumer.context().consumer.set(Arc::downgrade(&consumer));
    consumer.subscribe(&[&shared.topic])?;
    shared.health.asks_group();
    shared.set_client(&consumer);
    Ok(consumer)
}

/// Returns when the source is closed, or another client has to go on.
fn serve(
    shared: &Arc<Shared>,
    config: &ClientConfig,
    consumer: Arc<BaseConsumer<Context>>,
) -> Result<(), String> {
    let mut fault = None;
    let mut next_commit = Instant::now() + COMMIT_INTERVAL;
    let mut next_topic = Instant::now() + TOPIC_INTERVAL;
    let mut next_unpositioned = Instant::now() + unpositioned::POLL_INTERVAL;
    let (mut made_again, mut all_stand) = (false, false);
    let mut watch = Watch::new(config);
    while fault.is_none() && !shared.closing() {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                // The queue of its partition should have it. It must not be lost, or the position would pass it.
                log::debug!("queue `{}`: a record came by the main queue", shared.queue);
                // SAFETY: it lives as long as `message`, and is no error.
                let record = unsafe { Record::copy(message.ptr(), &mut Pieces::new()) };
                shared
                    .assignments()
                    .insert_in_order(message.partition(), record, Instant::now());
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                fault = Some(match consumer.client().fatal_error() {
                    Some((code, reason)) => remedy::of_group(code, &reason),
                    None => code.to_string(),
                });
            }
            // The callback for errors got it too.
            Some(Err(_)) => {}
        }
        panic_point("kafka member", &shared.topic);
        let now = Instant::now();
        if now >= next_commit {
            commit::later(&consumer, shared);
            next_commit = now + COMMIT_INTERVAL;
        }
        let rereads = shared.assignments().take_rereads();
        if !rereads.is_empty() {
            let left = resume::validate(&consumer, shared, &rereads);
            shared.assignments().reread_later(left);
        }
        watch.poll(&consumer, shared);
        if now >= next_topic && shared.health.brokers() == Brokers::Answer {
            made_again = made_again::is_noticed(&consumer, shared);
            next_topic = Instant::now() + TOPIC_INTERVAL;
        }
        let mut goes_on = false;
        if shared.unpositioned.any() && now >= next_unpositioned {
            all_stand = unpositioned::are_all(shared);
            goes_on = all_stand || unpositioned::may_go_on(&consumer, shared);
            next_unpositioned = Instant::now() + unpositioned::POLL_INTERVAL;
        }
        if made_again || goes_on || shared.take_unsettled() {
            break;
        }
    }
    let positions = match made_again {
        true => Positions::OfAnotherTopic,
        false => Positions::Ours,
    };
    end(shared, consumer, positions);
    if all_stand && !shared.closing() {
        unpositioned::wait_outside(shared, config).map_err(|cause| cause.to_string())?;
    }
    fault.map_or(Ok(()), Err)
}

/// Whether the positions may be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Positions {
    Ours,
    /// It has been deleted.
    OfAnotherTopic,
}

/// Commits, and leaves the group: the other members need not wait for the end of the session.
fn end(shared: &Arc<Shared>, consumer: Arc<BaseConsumer<Context>>, positions: Positions) {
    let partitions = shared.assignments().partitions();
    shared.assignments().stop_feeding(&partitions);
    if positions == Positions::Ours {
        commit::now(&consumer, shared, |_| true);
        // A member that is only made anew still knows which records are finished.
        if shared.closing() {
            shared.log_untaken();
        }
    }
    shared.remove(&partitions);
    if positions == Positions::OfAnotherTopic {
        shared.assignments().forget_runs();
    }
    shared.rebalanced();
    // The last owner closes the client, which may take long: that must be this thread.
    let deadline = Instant::now() + RETURN_OF_CLIENT;
    while Arc::strong_count(&consumer) > 1 && Instant::now() < deadline {
        std::thread::sleep(RETURN_POLL_INTERVAL);
    }
    drop(consumer);
}

fn sleep(shared: &Shared, pause: Duration) {
    let until = Instant::now() + pause;
    while !shared.closing() && Instant::now() < until {
        std::thread::sleep(POLL);
    }
}
