//! Taking messages.
//!
//! Each question has a number, and the same number is asked again when its answer was lost: what the first question took is
//! then found in the batch of this number. A number that was answered is never used again. Two may be under way at once:
//! where they arrive in the other order, the older one finds nothing, and another is asked instead of it.

use std::sync::atomic::Ordering;

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::RedisSource;
use super::deliver::Name;
use super::error::Fault;
use super::payloads::Stored;
use super::scripts::TAKE;
use super::server::Answer;
use super::trouble::Deed;
use super::wait::Waiting;
use crate::source::{Fetched, nothing};
use crate::stop::StopListener;
use crate::store::Most;

/// More than this a script cannot hand to one command.
const MOST: u32 = 1000;
/// Bytes of messages in one reply, a larger message apart: others, and heartbeats, wait for the connections that are busy
/// with replies, on a link of 100 Mbit/s for a third of a second each; and what is sent again after a lost one is no more.
const REPLY_BYTES: u32 = 4 << 20;

/// What one poller of messages knows.
#[derive(Default)]
pub(super) struct Poller {
    /// A question with this number may have reached the server, in this generation.
    unanswered: Option<u64>,
    pub(super) waiting: Waiting,
}

#[cfg(test)]
impl Poller {
    /// A question was asked and its answer did not arrive.
    pub(super) fn lost_answer(&mut self, number: u64) {
        self.unanswered = Some(number);
    }
}

/// Which poller. The first one waits when there is nothing. While the list has more than a batch a second one asks
/// beside it: the server works on the one answer while this process takes the other apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    First,
    Second,
}

/// What the server answers.
enum Taken {
    /// A batch, oldest message first.
    Batch(TakenBatch),
    /// Nothing now; milliseconds until a retry is due, if there is one.
    Nothing(Option<u64>),
    /// The server does not know this boot.
    Unknown,
    /// It does not know batches that it gave: it is back at an older state.
    Older,
}

/// Messages of one batch, oldest first.
pub(super) struct TakenBatch {
    pub(super) taken_ms: i64,
    pub(super) messages: Stored,
    /// Of each, where the messages are framed.
    pub(super) deaths: Option<Vec<Death>>,
}

/// What was charged to a message whose handler ended its process.
#[derive(Debug, Default)]
pub(super) struct Death {
    pub(super) attempts: u32,
    pub(super) how: Option<String>,
}

impl RedisSource {
    pub(super) async fn take_messages(&self, most: Most, stop: &mut StopListener) -> Fetched {
        let most = Most {
            count: most.count.min(MOST),
            bytes: most.bytes.min(REPLY_BYTES),
        };
        if self.may_poll_beside()
            && let Ok(mut poller) = self.second_poller.try_lock()
        {
            let found = self.poll(&mut poller, Who::Second, most, stop).await;
            if found.len() > 0 {
                return found;
            }
        }
        let mut poller = tokio::select! {
            biased;
            () = stop.quiet() => return nothing(),
            poller = self.poller.lock() => poller,
        };
        self.poll(&mut poller, Who::First, most, stop).await
    }

    /// Also where the second poller's last answer is outstanding: no other poller would ask for it.
    fn may_poll_beside(&self) -> bool {
        let is_plenty = self.plenty.load(Ordering::Relaxed) && self.poller.try_lock().is_err();
        is_plenty || self.outstanding.load(Ordering::Acquire)
    }

    /// Returns when something is found, when a stop begins, and the second one when nothing is.
    async fn poll(
        &self,
        poller: &mut Poller,
        who: Who,
        most: Most,
        stop: &mut StopListener,
    ) -> Fetched {
        while !stop.begun() {
            let turn = tokio::select! {
                biased;
                () = stop.quiet() => return nothing(),
                turn = self.server().turn() => turn,
            };
            // Not raced against the stop: a question under way must be answered, or the messages it takes would be
            // orphaned.
            let asked = async {
                if turn.is_some() {
                    // That there is nothing to take does not show whether the server takes writes again.
                    self.beat().await?;
                    self.server().wrote();
                }
                self.ask(poller, who, most).await
            }
            .await;
            match &asked {
                Err(Fault::Away(why)) => self.server().failed(why, turn.as_ref()),
                Err(Fault::Refused(_)) => self.server().answered(),
                Ok(Found::Messages(_)) => self.server().wrote(),
                Ok(Found::Nothing(_)) => {}
            }
            drop(turn);
            match asked {
                Ok(Found::Messages(messages)) => {
                    self.trouble.accepted(Deed::Take);
                    let full = u32::try_from(messages.len()) == Ok(most.count);
                    self.plenty.store(full, Ordering::Relaxed);
                    return messages;
                }
                Ok(Found::Nothing(next_due_ms)) => {
                    self.trouble.accepted(Deed::Take);
                    self.plenty.store(false, Ordering::Relaxed);
                    if who == Who::Second {
                        return nothing();
                    }
                    self.wait(&mut poller.waiting, next_due_ms, stop).await;
                }
                Err(Fault::Refused(why)) => {
                    let pause = self.trouble.refused(Deed::Take, &why);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.quiet() => {}
                    }
                }
                Err(Fault::Away(_)) => {}
            }
        }
        nothing()
    }

    async fn ask(&self, poller: &mut Poller, who: Who, most: Most) -> Answer<Found> {
        loop {
            let generation = self.registered().await?;
            let boot = self.boot_in(generation);
            let again = poller.unanswered;
            let number = match again {
                Some(number) => number,
                None => self.last_number.fetch_add(1, Ordering::Relaxed) + 1,
            };
            self.note_unanswered(poller, who, Some(number));
            self.asked[who as usize].store(number, Ordering::Release);
            let turn = if number % 2 == 0 { "retries" } else { "list" };
            let mut script = TAKE.key(self.config.key.as_str());
            script.arg(&*boot).arg(number).arg(most.count);
            script
                .arg(if again.is_some() { "again" } else { "first" })
                .arg(turn)
                .arg(most.bytes)
                .arg(self.batches.lock().highest(&boot));
            let answer = self.server().run(&script).await;
            if let Err(Fault::Refused(_)) = &answer {
                // It arrived, and did nothing; see the script. Where only the answer is at fault, as one that cannot be
                // read, its batch is there, and the heartbeat finds it.
                self.note_unanswered(poller, who, None);
                self.asked[who as usize].store(0, Ordering::Release);
            }
            let taken = answer?;
            self.note_unanswered(poller, who, None);
            match taken {
                // What is held here is put back.
                Taken::Unknown | Taken::Older => self.beat().await?,
                Taken::Nothing(Some(0)) => {}
                Taken::Nothing(due) => return Ok(Found::Nothing(due)),
                Taken::Batch(taken) => {
                    let name = Name {
                        boot,
                        generation,
                        number,
                    };
                    let messages = self.deliver(name, taken);
                    // It is held from here on. Once it has ended, a batch of its number is one that came back.
                    self.asked[who as usize].store(0, Ordering::Release);
                    return Ok(Found::Messages(messages));
                }
            }
        }
    }

    fn note_unanswered(&self, poller: &mut Poller, who: Who, number: Option<u64>) {
        poller.unanswered = number;
        if who == Who::Second {
            self.outstanding.store(number.is_some(), Ordering::Release);
        }
    }
}

enum Found {
    Messages(Fetched),
    Nothing(Option<u64>),
}

impl FromRedisValue for Taken {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(parts) = value else {
            return Err("the script `take` answers an array".into());
        };
        let mut parts = parts.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let what: String = from_redis_value(next())?;
        match what.as_str() {
            "unknown" => Ok(Self::Unknown),
            "older" => Ok(Self::Older),
            "nothing" => {
                let due: i64 = from_redis_value(next())?;
                Ok(Self::Nothing(u64::try_from(due).ok()))
            }
            _ => {
                let kind: String = from_redis_value(next())?;
                let taken_ms = from_redis_value(next())?;
                let messages: Stored = from_redis_value(next())?;
                let mut deaths: Vec<Death> = from_redis_value(next())?;
                deaths.resize_with(messages.len(), Death::default);
                Ok(Self::Batch(TakenBatch {
                    taken_ms,
                    messages,
                    deaths: (kind == "f").then_some(deaths),
                }))
            }
        }
    }
}

impl FromRedisValue for Death {
    /// Names and values: `until`, `how`, and the boots that died with 1 or 0 attempts.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let fields: Vec<(String, String)> = from_redis_value(value)?;
        let mut death = Self::default();
        for (name, text) in fields {
            match name.as_str() {
                "until" => {}
                "how" => death.how = Some(text),
                _ => death.attempts += text.parse::<u32>().unwrap_or(0),
            }
        }
        Ok(death)
    }
}
