//! Taking messages.
//!
//! Each question has a number, and the same number is asked again when its answer was lost: what the first question took is
//! then found in the batch of this number. A number that was answered is never used again. Two may be under way at once:
//! where they arrive in the other order, the older one finds nothing, and another is asked instead of it.

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::RedisSource;
use super::deliver::Name;
use super::error::Fault;
use super::payloads::Stored;
use super::pollers::{Asked, Poller, Who};
use super::scripts::TAKE;
use super::server::Answer;
use super::trouble::Deed;
use crate::source::{Fetched, nothing};
use crate::stop::StopListener;
use crate::store::Most;

/// More than this a script cannot hand to one command.
const MOST: u32 = 1000;
/// Bytes of messages in one reply, a larger message apart: others, and heartbeats, wait for the connections that are busy
/// with replies, on a link of 100 Mbit/s for a third of a second each; and what is sent again after a lost one is no more.
const REPLY_BYTES: u32 = 4 << 20;

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
        if let Some(mut poller) = self.pollers.second() {
            let found = self.poll(&mut poller, Who::Second, most, stop).await;
            if found.len() > 0 {
                return found;
            }
        }
        let mut poller = tokio::select! {
            biased;
            () = stop.quiet() => return nothing(),
            poller = self.pollers.first() => poller,
        };
        self.poll(&mut poller, Who::First, most, stop).await
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
                    self.pollers.set_plenty(full);
                    return messages;
                }
                Ok(Found::Nothing(next_due_ms)) => {
                    self.trouble.accepted(Deed::Take);
                    self.pollers.set_plenty(false);
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
            let boot = self.boot.in_generation(generation);
            let Asked {
                number,
                is_repeated,
            } = self.pollers.ask(poller, who);
            let turn = if number % 2 == 0 { "retries" } else { "list" };
            let mut script = TAKE.key(self.config.key.as_str());
            script.arg(&*boot).arg(number).arg(most.count);
            script
                .arg(if is_repeated { "again" } else { "first" })
                .arg(turn)
                .arg(most.bytes)
                .arg(self.batches.lock().highest(&boot));
            let answer = self.server().run(&script).await;
            if let Err(Fault::Refused(_)) = &answer {
                // It arrived, and did nothing; see the script. Where only the answer is at fault, as one that cannot be
                // read, its batch is there, and the heartbeat finds it.
                self.pollers.answered(poller, who);
                self.pollers.forget(who);
            }
            let taken = answer?;
            self.pollers.answered(poller, who);
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
                    self.pollers.forget(who);
                    return Ok(Found::Messages(messages));
                }
            }
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
