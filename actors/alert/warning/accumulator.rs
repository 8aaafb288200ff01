//! What this process has counted and not written yet. Pure: times are arguments.
//!
//! A flag with its periods has segments of a second at most, the oldest first. While the database is away they stay, so that
//! what was counted in an outage keeps its times: an hour of it must not become one burst. What is kept is bounded: the two
//! neighbours that lie closest together become one, as long as that is shorter than the shortest period; then the oldest
//! segment is given up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::MOST_MESSAGES;
use crate::db::warnings::Period;

/// A segment is written when it is as old as this: a handler that adds all the time costs one write a second.
pub(super) const SEGMENT: Duration = Duration::from_secs(1);
/// Segments of one flag.
pub(super) const MOST_SEGMENTS: usize = 600;
/// Messages of one flag in all of its segments; those of the oldest segments go first.
const MOST_KEPT_MESSAGES: usize = 100;
/// Flags that wait at a time. A flag is to be a kind of trouble; a program that makes one of each order's number is held here.
pub(super) const MOST_FLAGS: usize = 1_000;

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) flag: Arc<str>,
    pub(super) periods: Arc<[Period]>,
}

/// See the module's header. `T` is whoever must know what becomes of a segment.
#[derive(Debug)]
pub(super) struct Accumulator<T> {
    entries: BTreeMap<Key, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    segments: VecDeque<Segment<T>>,
    /// Others are being written: these wait for that.
    in_flight: bool,
}

/// What was counted within a short time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment<T> {
    pub(super) at: Instant,
    last: Instant,
    pub(super) count: i64,
    /// The last ones.
    pub(super) messages: Vec<String>,
    /// Several where segments were merged.
    pub(super) outcomes: Vec<T>,
}

/// What became of an add.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put<T> {
    /// It waits with this outcome. Beside it the segments that were given up for it.
    Waits(T, Vec<Segment<T>>),
    TooManyFlags,
}

impl<T> Default for Accumulator<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }
}

impl<T: Clone> Accumulator<T> {
    /// Counts at this moment.
    pub(super) fn add(
        &mut self,
        key: &Key,
        now: Instant,
        count: i64,
        messages: Vec<String>,
        outcome: impl FnOnce() -> T,
    ) -> Put<T> {
        if !self.entries.contains_key(key) && self.entries.len() >= MOST_FLAGS {
            return Put::TooManyFlags;
        }
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            segments: VecDeque::new(),
            in_flight: false,
        });
        let open = entry
            .segments
            .back()
            .is_some_and(|segment| now.saturating_duration_since(segment.at) < SEGMENT);
        if !open {
            entry.segments.push_back(Segment {
                at: now,
                last: now,
                count: 0,
                messages: Vec::new(),
                outcomes: vec![outcome()],
            });
        }
        let Some(segment) = entry.segments.back_mut() else {
            unreachable!("one is open");
        };
        segment.last = now;
        segment.count = segment.count.saturating_add(count);
        segment.take_messages(messages);
        let Some(outcome) = segment.outcomes.last().cloned() else {
            unreachable!("each has one");
        };
        entry.drop_messages();
        let given_up = entry.bound(key);
        Put::Waits(outcome, given_up)
    }

    /// All that may be written now. From then on those flags are in flight.
    pub(super) fn take(&mut self) -> Vec<(Key, Vec<Segment<T>>)> {
        let mut taken = Vec::new();
        for (key, entry) in &mut self.entries {
            if !entry.in_flight && !entry.segments.is_empty() {
                entry.in_flight = true;
                taken.push((key.clone(), entry.segments.drain(..).collect()));
            }
        }
        taken
    }

    /// What was in flight of this flag is written, or never will be.
    pub(super) fn settled(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.in_flight = false;
            if entry.segments.is_empty() {
                self.entries.remove(key);
            }
        }
    }

    /// Whether anything could be taken.
    pub(super) fn has_work(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| !entry.in_flight && !entry.segments.is_empty())
    }

    /// Nothing waits, and nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Nothing of it is written any more.
    pub(super) fn give_up(&mut self) -> Vec<Segment<T>> {
        let entries = std::mem::take(&mut self.entries);
        let segments = entries.into_values().flat_map(|entry| entry.segments);
        segments.collect()
    }
}

impl<T> Segment<T> {
    fn take_messages(&mut self, messages: Vec<String>) {
        self.messages.extend(messages);
        let over = self.messages.len().saturating_sub(MOST_MESSAGES);
        self.messages.drain(..over);
    }
}

impl<T> Entry<T> {
    fn drop_messages(&mut self) {
        let all: usize = self.segments.iter().map(|it| it.messages.len()).sum();
        let mut over = all.saturating_sub(MOST_KEPT_MESSAGES);
        for segment in &mut self.segments {
            let dropped = over.min(segment.messages.len());
            segment.messages.drain(..dropped);
            over -= dropped;
        }
    }

    /// Answers the segments that are given up.
    fn bound(&mut self, key: &Key) -> Vec<Segment<T>> {
        let mut given_up = Vec::new();
        let shortest = key.periods.iter().map(|period| period.seconds).min();
        let shortest = Duration::from_secs(shortest.unwrap_or(0).try_into().unwrap_or(0));
        while self.segments.len() > MOST_SEGMENTS {
            let spans = self.segments.iter().zip(self.segments.iter().skip(1));
            let spans = spans.map(|(first, second)| second.last - first.at);
            let closest = spans.enumerate().min_by_key(|(_, span)| *span);
            match closest.filter(|(_, span)| *span < shortest) {
                Some((at, _)) => self.merge(at),
                None => given_up.extend(self.segments.pop_front()),
            }
        }
        given_up
    }

    /// The segment behind this one becomes part of it.
    fn merge(&mut self, at: usize) {
        if let Some(second) = self.segments.remove(at + 1)
            && let Some(first) = self.segments.get_mut(at)
        {
            first.last = second.last;
            first.count = first.count.saturating_add(second.count);
            first.take_messages(second.messages);
            first.outcomes.extend(second.outcomes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(flag: &str, seconds: i64) -> Key {
        Key {
            flag: flag.into(),
            periods: Arc::new([Period {
                limit: 100,
                seconds,
            }]),
        }
    }

    struct World {
        accumulator: Accumulator<usize>,
        begun: Instant,
        outcomes: usize,
    }

    impl World {
        fn new() -> Self {
            Self {
                accumulator: Accumulator::default(),
                begun: Instant::now(),
                outcomes: 0,
            }
        }

        fn add(&mut self, key: &Key, at_ms: u64, count: i64, message: &str) -> Put<usize> {
            let at = self.begun + Duration::from_millis(at_ms);
            let messages = match message {
                "" => Vec::new(),
                message => vec![message.to_owned()],
            };
            let outcomes = &mut self.outcomes;
            self.accumulator.add(key, at, count, messages, || {
                *outcomes += 1;
                *outcomes
            })
        }

        /// Of each segment: when it begins in milliseconds, its count, its outcomes.
        fn take(&mut self) -> Vec<(u128, i64, Vec<usize>)> {
            let taken = self.accumulator.take();
            let segments = taken.into_iter().flat_map(|(_, segments)| segments);
            let begun = self.begun;
            segments
                .map(|it| ((it.at - begun).as_millis(), it.count, it.outcomes))
                .collect()
        }
    }

    #[test]
    fn a_second_is_one_segment_with_one_outcome() {
        let mut world = World::new();
        let pay = key("pay", 60);
        for (at, count, outcome) in [
            (0, 1, 1),
            (400, 2, 1),
            (999, 3, 1),
            (1_000, 4, 2),
            (2_500, 5, 3),
        ] {
            assert_eq!(
                world.add(&pay, at, count, ""),
                Put::Waits(outcome, vec![]),
                "{at}"
            );
        }
        assert_eq!(
            world.take(),
            [(0, 6, vec![1]), (1_000, 4, vec![2]), (2_500, 5, vec![3])]
        );
    }

    #[test]
    fn a_flag_is_written_by_one_at_a_time_and_holds_up_no_other() {
        let mut world = World::new();
        let (pay, ship) = (key("pay", 60), key("ship", 60));
        world.add(&pay, 0, 1, "");
        assert_eq!(world.take().len(), 1);
        world.add(&pay, 100, 7, "");
        world.add(&ship, 100, 9, "");
        assert_eq!(world.take(), [(100, 9, vec![3])]);
        assert!(!world.accumulator.has_work());
        world.accumulator.settled(&pay);
        assert_eq!(world.take(), [(100, 7, vec![2])]);
        world.accumulator.settled(&pay);
        world.accumulator.settled(&ship);
        assert!(world.accumulator.is_empty());
    }

    #[test]
    fn an_hour_of_an_outage_keeps_its_times_and_its_counts() {
        let mut world = World::new();
        let pay = key("pay", 60);
        for second in 0..3_600_u64 {
            assert!(
                matches!(world.add(&pay, second * 1_000, 1, "m"), Put::Waits(_, given_up) if given_up.is_empty())
            );
        }
        let taken = world.accumulator.take().remove(0).1;
        assert_eq!(taken.len(), MOST_SEGMENTS);
        assert_eq!(taken.iter().map(|it| it.count).sum::<i64>(), 3_600);
        assert_eq!(
            taken.iter().map(|it| it.outcomes.len()).sum::<usize>(),
            3_600
        );
        let longest = taken.iter().map(|it| it.last - it.at).max().unwrap();
        assert!(longest < Duration::from_secs(20), "{longest:?}");
        let messages: usize = taken.iter().map(|it| it.messages.len()).sum();
        assert!(messages <= MOST_KEPT_MESSAGES, "{messages}");
        let last = taken.last().unwrap();
        assert!(!last.messages.is_empty(), "the last ones are kept");
    }

    #[test]
    fn what_cannot_be_merged_within_a_period_is_given_up_the_oldest_first() {
        let mut world = World::new();
        let second = key("pay", 1);
        let given_up = (0..700_u64).flat_map(|n| match world.add(&second, n * 1_000, 1, "") {
            Put::Waits(_, given_up) => given_up,
            Put::TooManyFlags => panic!("one flag"),
        });
        let outcomes: Vec<usize> = given_up.flat_map(|it| it.outcomes).collect();
        assert_eq!(outcomes, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn flags_are_bounded_and_make_room() {
        let mut world = World::new();
        for n in 0..MOST_FLAGS {
            world.add(&key(&format!("f{n}"), 60), 0, 1, "");
        }
        assert_eq!(world.add(&key("one more", 60), 0, 1, ""), Put::TooManyFlags);
        let known = key("f0", 60);
        assert!(matches!(world.add(&known, 0, 1, ""), Put::Waits(..)));
        world.take();
        world.accumulator.settled(&known);
        assert!(matches!(
            world.add(&key("one more", 60), 0, 1, ""),
            Put::Waits(..)
        ));
    }

    #[test]
    fn the_last_messages_of_a_segment_are_kept() {
        let mut world = World::new();
        let pay = key("pay", 60);
        for n in 0..50 {
            world.add(&pay, 0, 1, &format!("m{n}"));
        }
        let messages = world.accumulator.take().remove(0).1.remove(0).messages;
        assert_eq!(messages.len(), MOST_MESSAGES);
        assert_eq!(
            (messages[0].as_str(), messages[19].as_str()),
            ("m30", "m49")
        );
    }

    #[test]
    fn names_with_other_periods_are_counted_apart() {
        let mut world = World::new();
        world.add(&key("pay", 60), 0, 1, "");
        world.add(&key("pay", 5), 0, 2, "");
        world.add(&key("pay ", 60), 0, 3, "");
        assert_eq!(world.take().len(), 3);
    }
}
