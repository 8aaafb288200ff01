//! What this process has counted and not written yet. Pure: times are arguments.
//!
//! A flag with its periods has segments of a second at most, the oldest first. While the database is away they stay, so that
//! what was counted in an outage keeps its times: an hour of it must not become one burst. What is kept is bounded: the two
//! neighbours that lie closest together become one, as long as that is shorter than the shortest period, and are counted as
//! spread evenly over their time; then the oldest segment is given up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::store::MOST_MESSAGES;
use crate::store::warnings::Period;

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

/// What becomes of a segment, for those whose counts are in it.
pub(super) trait Awaited: Clone {
    /// Whether a caller can still ask for it.
    fn is_held(&self) -> bool;
}

/// See the module's header. `T` is notified of a segment's outcome.
#[derive(Debug)]
pub(super) struct Accumulator<T> {
    entries: BTreeMap<Key, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    segments: VecDeque<Segment<T>>,
    /// The count of others that are being written: these wait for that.
    in_flight: Option<i64>,
}

/// What was counted within a short time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment<T> {
    pub(super) at: Instant,
    last: Instant,
    pub(super) count: i64,
    /// The last ones.
    pub(super) messages: Vec<String>,
    /// Several where segments were merged, none where nobody holds them.
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

/// What is not written when a process ends.
#[derive(Debug)]
pub(super) struct GivenUp<T> {
    pub(super) segments: Vec<Segment<T>>,
    /// The count of those that are being written, which may or may not happen.
    pub(super) in_flight: i64,
}

impl<T: Awaited> Accumulator<T> {
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
            in_flight: None,
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
                outcomes: Vec::new(),
            });
        }
        let Some(segment) = entry.segments.back_mut() else {
            unreachable!("one is open");
        };
        segment.last = now;
        segment.count = segment.count.saturating_add(count);
        segment.take_messages(messages);
        let outcome = match segment.outcomes.last() {
            Some(known) => known.clone(),
            None => {
                let new = outcome();
                segment.outcomes.push(new.clone());
                new
            }
        };
        entry.drop_messages();
        let given_up = entry.bound(key);
        Put::Waits(outcome, given_up)
    }

    /// All that may be written now. From then on those flags are in flight.
    pub(super) fn take(&mut self) -> Vec<(Key, Vec<Segment<T>>)> {
        let mut taken = Vec::new();
        for (key, entry) in &mut self.entries {
            if entry.in_flight.is_none() && !entry.segments.is_empty() {
                let segments: Vec<Segment<T>> = entry.segments.drain(..).collect();
                entry.in_flight = Some(sum(&segments));
                taken.push((key.clone(), segments));
            }
        }
        taken
    }

    /// What was in flight of this flag is written, or never will be.
    pub(super) fn settled(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.in_flight = None;
            if entry.segments.is_empty() {
                self.entries.remove(key);
            }
        }
    }

    /// Whether anything could be taken.
    pub(super) fn has_work(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.in_flight.is_none() && !entry.segments.is_empty())
    }

    /// Nothing waits, and nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Nothing that waits is written any more.
    pub(super) fn give_up(&mut self) -> GivenUp<T> {
        let entries = std::mem::take(&mut self.entries);
        let in_flight = entries.values().filter_map(|entry| entry.in_flight);
        GivenUp {
            in_flight: in_flight.fold(0, i64::saturating_add),
            segments: entries.into_values().flat_map(|it| it.segments).collect(),
        }
    }
}

impl<T> GivenUp<T> {
    /// What is not known to be written, for the log.
    pub(super) fn lines(&self) -> Vec<String> {
        let waited = sum(&self.segments);
        let mut lines = Vec::new();
        if waited > 0 {
            lines.push(format!(
                "{waited} counts of warnings are not written before the end"
            ));
        }
        if self.in_flight > 0 {
            lines.push(format!(
                "{} counts of warnings may not be written: the database has not answered before the end",
                self.in_flight
            ));
        }
        lines
    }
}

fn sum<T>(segments: &[Segment<T>]) -> i64 {
    let counts = segments.iter().map(|segment| segment.count);
    counts.fold(0, i64::saturating_add)
}

impl<T> Segment<T> {
    /// Between its first and its last count.
    pub(super) fn span(&self) -> Duration {
        self.last.saturating_duration_since(self.at)
    }

    fn take_messages(&mut self, messages: Vec<String>) {
        self.messages.extend(messages);
        let over = self.messages.len().saturating_sub(MOST_MESSAGES);
        self.messages.drain(..over);
    }
}

impl<T: Awaited> Entry<T> {
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
            // Those that are held are bounded by their holders.
            first.outcomes.retain(T::is_held);
        }
    }
}

#[cfg(test)]
mod tests;
