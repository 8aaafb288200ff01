//! `"auto.offset.reset": "error"`: partitions in which the group has no position, or one that is not in the log.
//!
//! librdkafka reports such a partition once, and does not fetch from it again. The group's position is read every 5 s: once
//! it is in the log, the member is made anew and begins there. A position that failed is not tried again: the log does not
//! have it.
//!
//! An operator has to set a position, and the tools for that refuse while the group has members. So a member that has no
//! other partitions leaves the group, and reads the positions from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Offset};

use super::assignments::Position;
use super::lag::ends;
use super::resume;
use super::shared::Shared;

/// Between two reads of the positions.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The time for one query to the brokers.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time after which a stop is noticed.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module's header.
#[derive(Default)]
pub(super) struct Unpositioned {
    state: Mutex<State>,
    /// Whether there are any, for callers that must not wait for the lock.
    any: AtomicBool,
}

#[derive(Default)]
struct State {
    partitions: BTreeSet<i32>,
    /// The positions at which the member began last.
    tried: BTreeMap<i32, Position>,
}

impl Unpositioned {
    pub(super) fn add(&self, partition: i32) {
        self.state.lock().partitions.insert(partition);
        self.any.store(true, Ordering::Release);
    }

    /// Keeps the partitions for which `of` holds. Returns whether the last ones were removed.
    pub(super) fn retain(&self, of: impl Fn(i32) -> bool) -> bool {
        if !self.any() {
            return false;
        }
        let mut state = self.state.lock();
        state.partitions.retain(|partition| of(*partition));
        let any = !state.partitions.is_empty();
        self.any.store(any, Ordering::Release);
        !any
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn partitions(&self) -> Vec<i32> {
        self.state.lock().partitions.iter().copied().collect()
    }

    /// Whether one of these positions was not tried yet. It counts as tried from here on.
    fn is_news(&self, positions: &[Position]) -> bool {
        let mut state = self.state.lock();
        let mut news = false;
        for position in positions {
            let before = state.tried.insert(position.partition, *position);
            news |= before != Some(*position);
        }
        news
    }
}

/// Whether an unpositioned partition can go on, so that the member is to be made anew.
pub(super) fn may_go_on<C: ConsumerContext>(client: &BaseConsumer<C>, shared: &Shared) -> bool {
    match valid(client, shared) {
        Ok(positions) => shared.unpositioned.is_news(&positions),
        Err(cause) => {
            log::debug!(
                "queue `{}`: positions of partitions that stand: {cause}",
                shared.queue
            );
            false
        }
    }
}

/// The group's positions that are in the logs.
fn valid<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    shared: &Shared,
) -> KafkaResult<Vec<Position>> {
    let topic = &*shared.topic;
    let partitions = shared.unpositioned.partitions();
    let committed = resume::committed(client, shared, &partitions, PATIENCE)?;
    let mut positions = resume::positions(&committed);
    if positions.is_empty() {
        return Ok(positions);
    }
    let partitions: Vec<i32> = positions.iter().map(|one| one.partition).collect();
    let first = ends(client, topic, &partitions, Offset::Beginning, PATIENCE)?;
    let end = ends(client, topic, &partitions, Offset::End, PATIENCE)?;
    positions.retain(|one| {
        let (first, end) = (first.get(&one.partition), end.get(&one.partition));
        first.is_some_and(|first| *first <= one.offset) && end.is_some_and(|end| one.offset <= *end)
    });
    Ok(positions)
}

/// Whether all assigned partitions are unpositioned.
pub(super) fn are_all(shared: &Shared) -> bool {
    if !shared.unpositioned.any() {
        return false;
    }
    let (unpositioned, here) = (
        shared.unpositioned.partitions(),
        shared.assignments().partitions(),
    );
    !here.is_empty()
        && here
            .iter()
            .all(|partition| unpositioned.contains(partition))
}

/// Waits outside the group until a partition can go on, or the source is closed.
pub(super) fn wait_outside(shared: &Shared, config: &ClientConfig) -> KafkaResult<()> {
    log::warn!(
        "queue `{}`: has left its group, as all its partitions stand: partitions {:?} of `{}` have no position in the group that is in their logs, and `auto.offset.reset` is `error`. `kafka-consumer-groups.sh --group {} --topic {} --reset-offsets --to-earliest --execute` would set positions, once no member is left; they are consumed a few seconds later",
        shared.queue,
        shared.unpositioned.partitions(),
        shared.topic,
        shared.group,
        shared.topic
    );
    // A client without a subscription is no member.
    let client: BaseConsumer = config.create()?;
    while !shared.closing() {
        if may_go_on(&client, shared) {
            return Ok(());
        }
        let until = Instant::now() + POLL_INTERVAL;
        while !shared.closing() && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}
