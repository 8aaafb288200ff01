//! Heartbeats in the queue's own Redis, by its clock; and the recovery of boots whose heartbeats stopped.
//!
//! Heartbeats are each list's own, so that one script can decide whether a batch may be touched. A boot that others
//! judged dead goes on under a new generation, which the server knows as another boot: the batches of the old
//! generation belong to other boots.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bb8_redis::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use tokio::time::Instant;

use super::RedisSource;
use super::error::Fault;
use super::restore::Loss;
use super::scripts::{BEAT, SETTLE};
use super::server::Answer;
use super::trouble::Deed;
use crate::clock::{Moment, millis};
use crate::task::{caught, panic_point};

/// A boot is dead after this many missed heartbeats.
const MISSED_HEARTBEATS: u32 = 3;

/// Pause before the next heartbeat after one that panicked.
const PANIC_PAUSE: Duration = Duration::from_millis(500);

/// What the server knows of this boot.
#[derive(Default)]
pub(super) struct Registration {
    /// The generation that it knows.
    pub(super) generation: Option<u64>,
    /// It has lost data, and what is held here is to be put back.
    loss: Option<Loss>,
    /// The last heartbeat: when it was sent, and the server's time.
    last: Option<(Moment, i64)>,
    /// Orphaned batches of this boot, which this process does not hold, and since when they are known.
    orphans: BTreeMap<u64, Instant>,
}

/// Whether the server should know this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acquaintance {
    New,
    /// If it does not, it has lost its data.
    Known,
}

/// What a heartbeat is answered.
pub(super) enum Beat {
    Alive {
        now_ms: i64,
        /// The last number that the server knows of this boot.
        last: u64,
        numbers: Vec<u64>,
    },
    Dead,
    Lost,
}

/// Until the source is dropped or closed.
pub(super) async fn keep(source: Weak<RedisSource>) {
    while let Some(source) = source.upgrade() {
        if source.closed.load(Ordering::Acquire) {
            return;
        }
        let pause = match caught(source.keep_once()).await {
            Ok(pause) => pause,
            // Without heartbeats others would take over what this daemon holds.
            Err(panic) => {
                log::error!("queue `{}`: a heartbeat failed: {panic}", source.queue());
                PANIC_PAUSE
            }
        };
        drop(source);
        tokio::time::sleep(pause).await;
    }
}

impl RedisSource {
    /// Answers when to come again.
    async fn keep_once(&self) -> Duration {
        panic_point("redis keeper", &self.config.key);
        let turn = self.server().turn().await;
        let kept = async {
            self.beat().await?;
            if self.boot.liveness.may_judge() {
                self.recover_silent().await?;
            }
            Ok(())
        };
        match kept.await {
            Ok(()) => {
                self.server().wrote();
                self.trouble.accepted(Deed::Beat);
                self.config.heartbeat_interval
            }
            Err(Fault::Away(why)) => {
                self.server().failed(&why, turn.as_ref());
                Duration::ZERO
            }
            Err(Fault::Refused(why)) => {
                self.server().answered();
                self.trouble.refused(Deed::Beat, &why)
            }
        }
    }

    /// The generation that the server knows; registers one if it knows none.
    pub(super) async fn registered(&self) -> Answer<u64> {
        loop {
            if let Some(generation) = self.boot.registered() {
                return Ok(generation);
            }
            self.beat().await?;
        }
    }

    /// One heartbeat, and what follows from its answer.
    pub(super) async fn beat(&self) -> Answer<()> {
        self.beat_and_recover(None).await
    }

    /// The server does not have this batch, and gave it to no other boot.
    pub(super) async fn recover_batch(&self, number: u64) -> Answer<()> {
        self.beat_and_recover(Some(number)).await
    }

    async fn beat_and_recover(&self, missing: Option<u64>) -> Answer<()> {
        let mut registration = self.boot.registration().await;
        if self.closed.load(Ordering::Acquire) {
            return Err(Fault::Refused("this daemon is stopping".to_owned()));
        }
        loop {
            let generation = self.boot.liveness.generation();
            let acquaintance = match registration.generation {
                Some(known) if known == generation => Acquaintance::Known,
                _ => Acquaintance::New,
            };
            let boot = self.boot.in_generation(generation);
            let (highest, kept) = {
                let batches = self.batches.lock();
                (batches.highest(&boot), batches.surely_kept_by(&boot))
            };
            let sent = Moment::now();
            match self.ask_for_life(generation, acquaintance).await? {
                Beat::Alive {
                    now_ms,
                    last,
                    numbers,
                } => {
                    registration.generation = Some(generation);
                    self.boot.confirm(generation, sent);
                    self.watch_clock(&mut registration, sent, now_ms);
                    if last < highest {
                        registration.loss.get_or_insert(Loss::Newest);
                    } else if missing.is_some() || self.any_is_missing(&boot, &kept, &numbers) {
                        registration.loss.get_or_insert(Loss::Batches);
                    }
                    if let Some(loss) = registration.loss {
                        self.restore(&boot, loss).await?;
                        registration.loss = None;
                    }
                    return self
                        .release_orphans(&mut registration, generation, numbers)
                        .await;
                }
                Beat::Dead => {
                    log::warn!(
                        "queue `{}`: this daemon had been silent for too long, another one has taken over its messages",
                        self.queue()
                    );
                    self.boot.liveness.was_dead(sent);
                    registration.orphans.clear();
                    // Others were given what the server knew; it may be back at a state that knew not all.
                    registration.loss.get_or_insert(Loss::Batches);
                }
                Beat::Lost => {
                    registration.generation = None;
                    registration.loss = Some(Loss::All);
                }
            }
        }
    }

    pub(super) async fn ask_for_life(
        &self,
        generation: u64,
        acquaintance: Acquaintance,
    ) -> Answer<Beat> {
        let mut script = BEAT.key(self.config.key.as_str());
        script
            .arg(&*self.boot.in_generation(generation))
            .arg(millis(self.config.heartbeat_interval * MISSED_HEARTBEATS))
            .arg(match acquaintance {
                Acquaintance::New => "first",
                Acquaintance::Known => "again",
            });
        self.server().run_for_life(&script).await
    }

    /// Where the server's clock has jumped, others' heartbeats seem old until they have come again.
    fn watch_clock(&self, registration: &mut Registration, sent: Moment, now_ms: i64) {
        if let Some((before, before_ms)) = registration.last {
            let passed = millis(sent.since(before));
            let off = (now_ms - before_ms).abs_diff(passed);
            if off
                > self
                    .config
                    .heartbeat_interval
                    .as_millis()
                    .try_into()
                    .unwrap_or(u64::MAX)
            {
                self.boot.liveness.clock_jumped(sent);
            }
        }
        registration.last = Some((sent, now_ms));
    }

    /// Releases orphaned batches of this boot: their question reached the server late, after the poller had given it
    /// up. A batch is released once it has been seen for longer than any answer takes.
    async fn release_orphans(
        &self,
        registration: &mut Registration,
        generation: u64,
        numbers: Vec<u64>,
    ) -> Answer<()> {
        let asked = self.pollers.asked();
        let unheld: Vec<u64> = {
            let batches = self.batches.lock();
            let unheld = |number: &u64| !asked.contains(number) && !batches.holds(*number);
            numbers.into_iter().filter(unheld).collect()
        };
        registration
            .orphans
            .retain(|number, _| unheld.contains(number));
        for number in unheld.into_iter().rev() {
            let since = *registration
                .orphans
                .entry(number)
                .or_insert_with(Instant::now);
            if since.elapsed() >= self.config.heartbeat_interval {
                self.give_back(generation, number).await?;
                registration.orphans.remove(&number);
                self.wake.notify_one();
            }
        }
        Ok(())
    }

    /// All that is left of one batch of this boot.
    pub(super) async fn give_back(&self, generation: u64, number: u64) -> Answer<()> {
        let mut script = SETTLE.key(self.config.key.as_str());
        script
            .arg(&*self.boot.in_generation(generation))
            .arg(number)
            .arg("back");
        self.server().run::<i64>(&script).await.map(drop)
    }
}

impl FromRedisValue for Beat {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let parts: Vec<String> = from_redis_value(value)?;
        match parts.first().map(String::as_str) {
            Some("alive") => Ok(Self::Alive {
                now_ms: parts.get(1).and_then(|ms| ms.parse().ok()).unwrap_or(0),
                last: parts.get(2).and_then(|last| last.parse().ok()).unwrap_or(0),
                numbers: parts
                    .iter()
                    .skip(3)
                    .filter_map(|number| number.parse().ok())
                    .collect(),
            }),
            Some("lost") => Ok(Self::Lost),
            _ => Ok(Self::Dead),
        }
    }
}
