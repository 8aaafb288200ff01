//! The batches that this daemon holds: which of their messages have ended, and which ends are still to be reported. No
//! server here.
//!
//! Ends are noted first. A batch is removed whole once all its messages have ended, which costs nothing for each message.
//! Ends that cannot wait for that (releases, and ends that have waited for long) are reported for a part of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::envelope::{self, Head};
use super::payloads::Stored;
use crate::source::RedisReceipt;

/// The longest that an end waits for the rest of its batch. After a crash within this time its message runs again.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(150);

/// A message that has failed, or whose boot died.
#[derive(Debug)]
pub(super) struct Member {
    /// Its envelope header, and the payload behind it. None: another program put the message among the framed ones.
    pub(super) frame: Option<(Head, Bytes)>,
    /// The number of the present attempt, recorded crashes included.
    pub(super) attempt: u32,
    /// The cause of the last crash that was recorded for it.
    pub(super) death: Option<String>,
}

/// A message that has not ended.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) head: Head,
    /// As the producer wrote it.
    pub(super) payload: Bytes,
    /// The cause of the last crash that was recorded for it.
    pub(super) death: Option<String>,
}

/// How far a message is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It waits, or runs.
    Held,
    /// It has ended, and the server has not confirmed a report of it.
    Ended(Instruction),
    /// The server has confirmed the report of its end.
    Reported,
}

/// What the server is to do with a message that has ended. There are fewer instructions than
/// [dispositions](crate::job::Disposition): a dead letter is written before the server removes its message, so the server
/// does the same for it as for a completed message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Instruction {
    Remove,
    /// It runs again at this time.
    Retry(Instant),
    Release,
}

/// A batch as it was taken.
#[derive(Debug)]
pub(super) struct Batch {
    /// The boot that took it, with its generation: a part of the names of its messages.
    boot: Arc<str>,
    /// The boot for which the server has it: of a later generation, where it was put back under that one.
    kept_by: Arc<str>,
    /// Unix milliseconds by the server's clock.
    taken_ms: i64,
    /// The messages as they are in the batch at the server.
    stored: Stored,
    /// One for each message, where the messages are framed. None where they are not: most batches never need it.
    framed: Option<Vec<Member>>,
    /// One for each message.
    states: Vec<State>,
    /// Messages that have not ended, counted so that a check of the batch need not visit each message.
    held: usize,
    /// Since when an end waits for the ends of the other messages.
    waits_since: Option<Instant>,
    released: bool,
    /// A report of its ends is under way, or its answer was lost: whether the server has the report is unknown.
    being_reported: bool,
    /// By a report that the server has, some of its messages are among the retries or in the list now.
    moved: bool,
}

/// One batch's ends, to be reported.
#[derive(Debug, PartialEq)]
pub(super) struct BatchReport {
    pub(super) boot: Arc<str>,
    pub(super) number: u64,
    pub(super) what: What,
    /// No earlier report of it can have reached the server.
    pub(super) sure: bool,
}

/// See [`BatchReport`].
#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// All messages are finished. These are the ids of its framed messages, which may have recorded crashes.
    Finished(Vec<String>),
    /// Ends of some messages, by their places (1 for the first).
    Some(Vec<Ended>),
}

/// The end of one message.
#[derive(Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) place: usize,
    pub(super) instruction: Instruction,
    /// With the attempts until now.
    pub(super) head: Head,
    pub(super) framed: bool,
}

/// All batches that this daemon holds, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: BTreeMap<u64, Batch>,
    /// The highest number that has brought a batch, and the boot that it was for.
    highest: Option<(Arc<str>, u64)>,
}

/// A batch as the server should have it.
pub(super) struct Kept {
    pub(super) kept_by: Arc<str>,
    /// As the scripts write it.
    pub(super) head: String,
    pub(super) messages: Vec<Bytes>,
}

impl Batches {
    pub(super) fn open(&mut self, number: u64, batch: Batch) {
        match &mut self.highest {
            Some((boot, highest)) if *boot == batch.boot => *highest = number.max(*highest),
            highest => *highest = Some((Arc::clone(&batch.boot), number)),
        }
        self.open.insert(number, batch);
    }

    /// The highest number that has brought this boot a batch. A server that does not know it has lost data.
    pub(super) fn highest(&self, boot: &str) -> u64 {
        let highest = self.highest.as_ref().filter(|(of, _)| **of == *boot);
        highest.map_or(0, |(_, number)| *number)
    }

    /// Batches of this boot of which no report is under way: the server has each of them, or has lost it.
    pub(super) fn surely_kept_by(&self, boot: &str) -> Vec<u64> {
        let open = self.open.iter();
        open.filter(|(_, batch)| *batch.kept_by == *boot && !batch.being_reported)
            .map(|(number, _)| *number)
            .collect()
    }

    /// The batches that have an unfinished message.
    pub(super) fn unfinished_batches(&self) -> Vec<u64> {
        let open = self.open.iter().filter(|(_, batch)| !batch.is_finished());
        open.map(|(number, _)| *number).collect()
    }

    /// A batch as the server should have it. None where it has ended.
    pub(super) fn kept(&self, number: u64) -> Option<Kept> {
        let batch = self.open.get(&number)?;
        Some(Kept {
            kept_by: Arc::clone(&batch.kept_by),
            head: batch.head(),
            messages: batch.left(),
        })
    }

    /// The server has the batch for this boot now.
    pub(super) fn put_back(&mut self, number: u64, boot: &Arc<str>) {
        if let Some(batch) = self.open.get_mut(&number) {
            batch.kept_by = Arc::clone(boot);
        }
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        self.open.contains_key(&number)
    }

    /// None where the message is not here, or has ended.
    pub(super) fn unfinished(&self, receipt: RedisReceipt) -> Option<Unfinished> {
        let (number, index) = (receipt.batch, receipt.index);
        let batch = self.open.get(&number)?;
        if batch.states.get(index) != Some(&State::Held) {
            return None;
        }
        let place = index + 1;
        let framed = batch.member(place).and_then(|member| member.frame.as_ref());
        let payload = match framed {
            Some((_, payload)) => payload.clone(),
            None => batch.stored.get(index)?,
        };
        Some(Unfinished {
            head: batch.head_of(number, place),
            payload,
            death: batch.member(place).and_then(|member| member.death.clone()),
        })
    }

    /// Notes an end. Each message ends once: a second end changes nothing.
    pub(super) fn note(&mut self, receipt: RedisReceipt, instruction: Instruction, now: Instant) {
        let RedisReceipt { batch, index, .. } = receipt;
        if let Some(batch) = self.open.get_mut(&batch)
            && batch.states.get(index) == Some(&State::Held)
        {
            batch.held -= 1;
            batch.released |= instruction == Instruction::Release;
            batch.waits_since.get_or_insert(now);
            batch.states[index] = State::Ended(instruction);
        }
    }

    /// The reports that are due, the youngest batch first: so released messages keep their order.
    pub(super) fn due(&mut self, now: Instant, all: Hurry) -> Vec<BatchReport> {
        let batches = self.open.iter_mut().rev();
        batches
            .filter_map(|(number, batch)| {
                let report = batch.report(*number, now, all)?;
                batch.being_reported = true;
                Some(report)
            })
            .collect()
    }

    /// The server has this report, or gave the batch to another boot.
    pub(super) fn reported(&mut self, report: &BatchReport) {
        let Some(batch) = self.open.get_mut(&report.number) else {
            return;
        };
        match &report.what {
            What::Finished(_) => batch.states.clear(),
            What::Some(ends) => {
                for end in ends {
                    batch.states[end.place - 1] = State::Reported;
                    batch.moved |= end.instruction != Instruction::Remove;
                }
                batch.being_reported = false;
                batch.refresh_waits();
            }
        }
        if batch.states.iter().all(|state| *state == State::Reported) {
            self.open.remove(&report.number);
        }
    }

    /// The batch is another boot's now, or none of its messages is left.
    pub(super) fn lost(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Whether ends wait for the rest of their batches.
    pub(super) fn any_waits(&self) -> bool {
        self.open.values().any(|batch| batch.waits_since.is_some())
    }

    /// Finished messages that a lag which the server returned just before surely counts. Those of a batch whose report is
    /// under way are left out: the server may have removed them already, and subtracting them a second time would hide
    /// messages that wait for their retry.
    pub(super) fn ended(&self) -> usize {
        let batches = self.open.values().filter(|batch| !batch.being_reported);
        let states = batches.flat_map(|batch| &batch.states);
        states
            .filter(|state| matches!(state, State::Ended(Instruction::Remove)))
            .count()
    }
}

/// Whether ends may wait for the rest of their batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurry {
    /// Unless they are older than [`LONGEST_WAIT`].
    MayWait,
    /// This daemon stops.
    No,
}

impl Batch {
    pub(super) fn new(
        boot: Arc<str>,
        taken_ms: i64,
        stored: Stored,
        framed: Option<Vec<Member>>,
    ) -> Self {
        Self {
            kept_by: Arc::clone(&boot),
            boot,
            taken_ms,
            held: stored.len(),
            states: vec![State::Held; stored.len()],
            stored,
            framed,
            waits_since: None,
            released: false,
            being_reported: false,
            moved: false,
        }
    }

    /// The message at this place, where the messages are framed.
    fn member(&self, place: usize) -> Option<&Member> {
        self.framed.as_ref()?.get(place - 1)
    }

    fn report(&self, number: u64, now: Instant, hurry: Hurry) -> Option<BatchReport> {
        let since = self.waits_since?;
        let urgent = self.released || hurry == Hurry::No || now >= since + LONGEST_WAIT;
        if self.held > 0 && !urgent {
            return None;
        }
        // A server that is back at an older state has messages in this batch that had moved elsewhere. They must not be
        // removed with the rest: they remain in the batch, which is then an orphaned one and is released.
        let what = if self.is_finished() && !self.moved {
            What::Finished(self.counted_ids())
        } else {
            What::Some(self.ends(number))
        };
        Some(BatchReport {
            boot: Arc::clone(&self.kept_by),
            number,
            what,
            sure: !self.being_reported,
        })
    }

    fn is_finished(&self) -> bool {
        let gone =
            |state: &State| matches!(state, State::Reported | State::Ended(Instruction::Remove));
        self.states.iter().all(gone)
    }

    /// Ends that came while others were being reported still wait.
    fn refresh_waits(&mut self) {
        let waits = |instruction: fn(&Instruction) -> bool| {
            let mut states = self.states.iter();
            states.any(|state| matches!(state, State::Ended(is) if instruction(is)))
        };
        self.released = waits(|instruction| *instruction == Instruction::Release);
        self.waits_since = waits(|_| true).then(Instant::now);
    }

    /// The first element of the batch, as the scripts write it.
    fn head(&self) -> String {
        let kind = if self.framed.is_some() { 'f' } else { 'm' };
        let places = self.unreported().map(|place: usize| place.to_string());
        let places: Vec<String> = places.collect();
        format!("{kind} {} {}", self.taken_ms, places.join(","))
    }

    /// The messages of it that the server should have.
    fn left(&self) -> Vec<Bytes> {
        self.unreported()
            .filter_map(|place| self.stored.get(place - 1))
            .collect()
    }

    /// Places of messages that the server should have.
    fn unreported(&self) -> impl Iterator<Item = usize> {
        let states = (1..).zip(&self.states);
        states.filter_map(|(place, state)| (*state != State::Reported).then_some(place))
    }

    fn counted_ids(&self) -> Vec<String> {
        let members = self.framed.iter().flatten();
        let frames = members.filter_map(|member| member.frame.as_ref());
        frames.map(|(head, _)| head.id.clone()).collect()
    }

    fn head_of(&self, number: u64, place: usize) -> Head {
        match self.member(place).and_then(|member| member.frame.as_ref()) {
            Some((head, _)) => head.clone(),
            None => Head {
                id: envelope::id(&self.boot, number, place),
                attempts: 0,
                first_ms: self.taken_ms,
            },
        }
    }

    fn ends(&self, number: u64) -> Vec<Ended> {
        let end = |(place, state): (usize, &State)| {
            let State::Ended(instruction) = state else {
                return None;
            };
            let mut head = self.head_of(number, place);
            if let Instruction::Retry(_) = instruction {
                head.attempts = self.member(place).map_or(1, |member| member.attempt);
            }
            Some(Ended {
                place,
                instruction: *instruction,
                head,
                framed: self.framed.is_some(),
            })
        };
        (1..).zip(&self.states).filter_map(end).collect()
    }
}

#[cfg(test)]
mod tests;
