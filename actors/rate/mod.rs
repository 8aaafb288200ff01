//! `rate_limit`: no more messages of a queue start than its entry allows, over all daemons that consume it.
//!
//! The limit is one number, kept by the Redis server of a list, and by the daemon's database for tables and topics. Daemons take
//! permits from it in portions, each enough for a fifth of a second, and start a message with each. So at most:
//!
//! - the portions of any period are those of the rate, one portion more, and what was not asked for in time (`store/permits.rs`);
//! - a permit counts for half a second after it was granted, then it is void. A daemon that dies, or a handler that takes long, loses it.
//!
//! Together: in any period the starts are at most those of the rate in that period and one second more, and one. Without an answer
//! from the place that keeps the limit nothing starts: the messages wait, and nothing is fetched.
//!
//! **What waits for permits is held by nobody.** While the limit is reached one consumer of the process at a time takes permits, then
//! fetches as many messages; the others wait without any. Fetched messages that have no permit, because theirs is void or the limit
//! is reached just then, are released after half a second.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::RateLimit;
use crate::db::Db;
use crate::outage::Outage;
use crate::source::RedisServer;
use crate::stop::StopListener;
use crate::store::permits::{Granted, PermitAsk};
use crate::store::write::TakePermits;

/// A permit that was not used by then is void.
const FRESH: Duration = Duration::from_millis(500);
/// How long a fetched message waits for its permit before it is released.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long after a refusal, beyond its own wait, the limit is taken to be reached.
const STAYS_REACHED: Duration = Duration::from_secs(1);

/// Who keeps the limit.
pub(crate) enum Keeper {
    /// The daemon's database, under this name.
    Database { db: Db, name: String },
    /// The server of this list.
    Redis {
        server: Arc<RedisServer>,
        list: String,
    },
    #[cfg(test)]
    Scripted(tests::Scripted),
}

impl Keeper {
    /// `place`: the table, or the cluster, topic and group.
    pub(crate) fn database(db: Db, place: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in place {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let name = hash
            .finalize()
            .into_iter()
            .map(|byte| format!("{byte:02x}"));
        Self::Database {
            db,
            name: name.collect(),
        }
    }
}

/// The limit of one entry, shared by its consumers. Without a limit it does nothing.
pub(crate) struct Limiter {
    queue: Arc<str>,
    limit: RwLock<Option<RateLimit>>,
    keeper: Option<Keeper>,
    bucket: Mutex<Bucket>,
    /// Held by the consumer that asks for permits.
    asking: Turn<Outage>,
    /// While the limit is reached: held by the consumer that fetches.
    fetching: Arc<Turn<()>>,
    /// Somebody has waited for permits, and messages have started, since that was asked.
    has_waited: AtomicBool,
    has_started: AtomicBool,
    /// That was asked before.
    is_known: AtomicBool,
}

/// What this process has of permits.
#[derive(Default)]
struct Bucket {
    permits: u32,
    granted: Option<Instant>,
    /// Before that there are none.
    next: Option<Instant>,
    /// Until then the limit is taken to be reached.
    reached_until: Option<Instant>,
}

impl Bucket {
    /// Those that are not void, up to a number, and when they were granted.
    fn take(&mut self, most: u32, now: Instant) -> Option<(u32, Instant)> {
        let granted = self.granted.filter(|granted| now < *granted + FRESH)?;
        let taken = self.permits.min(most);
        self.permits -= taken;
        (taken > 0).then_some((taken, granted))
    }

    /// Older ones beside younger ones become void with the older ones.
    fn add(&mut self, permits: u32, granted: Instant, now: Instant) {
        let kept = self
            .granted
            .filter(|kept| self.permits > 0 && now < *kept + FRESH);
        self.permits = permits + kept.map_or(0, |_| self.permits);
        self.granted = Some(kept.map_or(granted, |kept| kept.min(granted)));
    }
}

/// Whether a limit is why no more messages start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldsBack {
    No,
    /// Consumers have waited for permits.
    Reached,
    /// Nothing has started, or this is the first check.
    Unknown,
}

/// How many messages may be fetched, and permits for them. What is left of them goes back.
pub(crate) struct Permits {
    limiter: Option<Arc<Limiter>>,
    left: u32,
    granted: Option<Instant>,
    /// Until the fetch is over nobody else of this process fetches.
    fetching: Option<OwnedMutexGuard<()>>,
}

impl Limiter {
    pub(crate) fn new(queue: &str, limit: Option<RateLimit>, keeper: Keeper) -> Arc<Self> {
        Self::kept(queue, limit, Some(keeper))
    }

    /// For what is not limited.
    #[cfg(test)]
    pub(crate) fn none() -> Arc<Self> {
        Self::kept("", None, None)
    }

    fn kept(queue: &str, limit: Option<RateLimit>, keeper: Option<Keeper>) -> Arc<Self> {
        Arc::new(Self {
            queue: queue.into(),
            limit: RwLock::new(limit),
            keeper,
            bucket: Mutex::default(),
            asking: Turn::new(Outage::of_queue(
                queue,
                format!("the rate limit of queue `{queue}`"),
            )),
            fetching: Arc::default(),
            has_waited: AtomicBool::new(false),
            has_started: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
        })
    }

    /// The entry has it since a reload.
    pub(crate) fn set(&self, limit: Option<RateLimit>) {
        *self.limit.write() = limit;
        *self.bucket.lock() = Bucket::default();
    }

    pub(crate) fn limit(&self) -> Option<RateLimit> {
        *self.limit.read()
    }

    /// What is known since this was asked last; the first time nothing is.
    pub(crate) fn holds_back(&self) -> HoldsBack {
        let has_waited = self.has_waited.swap(false, Relaxed);
        let has_started = self.has_started.swap(false, Relaxed);
        let is_known = self.is_known.swap(true, Relaxed);
        match self.limit() {
            Some(_) if has_waited => HoldsBack::Reached,
            Some(_) if !has_started || !is_known => HoldsBack::Unknown,
            _ => HoldsBack::No,
        }
    }

    /// Before a fetch of `size` messages: how many of them, and permits. `None` when a stop begins.
    pub(crate) async fn before_fetch(
        self: &Arc<Self>,
        size: u32,
        stop: &mut StopListener,
    ) -> Option<(u32, Permits)> {
        let Some(limit) = self.limit() else {
            return Some((size, Permits::unlimited()));
        };
        // Of a batch that takes half a second the last ones would start with permits that are void.
        let size = size.div_ceil(2).min(limit.portion());
        if !self.is_reached() {
            return Some((size, self.none_yet()));
        }
        let fetching = tokio::select! {
            biased;
            () = stop.quiet() => return None,
            fetching = Arc::clone(&self.fetching).lock_owned() => fetching,
        };
        let mut permits = self.none_yet();
        permits.fetching = Some(fetching);
        loop {
            // One that keeps the limit and does not answer must not hold up a stop.
            let asked = tokio::select! {
                biased;
                () = stop.quiet() => return None,
                asked = self.ask(size) => asked,
            };
            match asked {
                Ok((taken, granted)) => {
                    permits.left = taken;
                    permits.granted = Some(granted);
                    return Some((taken, permits));
                }
                Err(next) => tokio::select! {
                    biased;
                    () = stop.quiet() => return None,
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    /// Each message waits for its permit when it has its turn.
    pub(crate) fn none_yet(self: &Arc<Self>) -> Permits {
        Permits {
            limiter: Some(Arc::clone(self)),
            left: 0,
            granted: None,
            fetching: None,
        }
    }

    /// The keeper takes long: nothing is fetched before it has answered.
    fn is_late(&self) {
        let until = Instant::now() + STAYS_REACHED;
        self.bucket.lock().reached_until = Some(until);
    }

    fn is_reached(&self) -> bool {
        let until = self.bucket.lock().reached_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Permits from here, or a portion of the keeper's; or when to ask again.
    async fn ask(&self, most: u32) -> Result<(u32, Instant), Instant> {
        let mut outage = self.asking.lock().await;
        let now = Instant::now();
        {
            let mut bucket = self.bucket.lock();
            if let Some(taken) = bucket.take(most, now) {
                return Ok(taken);
            }
            if let Some(next) = bucket.next.filter(|next| now < *next) {
                self.has_waited.store(true, Relaxed);
                return Err(next);
            }
        }
        let Some(limit) = self.limit() else {
            return Ok((most, now));
        };
        match self.of_keeper(limit).await {
            Ok(Granted::Permits(permits)) => {
                outage.passed();
                // From before the question on: an answer that is late makes no permit younger.
                let mut bucket = self.bucket.lock();
                bucket.add(permits, now, Instant::now());
                bucket.take(most, Instant::now()).ok_or_else(Instant::now)
            }
            Ok(Granted::Wait(wait)) => {
                outage.passed();
                self.has_waited.store(true, Relaxed);
                let next = Instant::now() + wait;
                let mut bucket = self.bucket.lock();
                bucket.next = Some(next);
                bucket.reached_until = Some(next + wait.max(STAYS_REACHED));
                Err(next)
            }
            Err(why) => {
                let pause = match why {
                    // Its server logs the outage itself.
                    NoAnswer::Said => STAYS_REACHED,
                    NoAnswer::Why(why) => outage.failed(why),
                };
                let next = Instant::now() + pause;
                let mut bucket = self.bucket.lock();
                bucket.next = Some(next);
                bucket.reached_until = Some(next + STAYS_REACHED);
                Err(next)
            }
        }
    }

    async fn of_keeper(&self, limit: RateLimit) -> Result<Granted, NoAnswer> {
        let ask = |name: &str| PermitAsk {
            name: name.to_owned(),
            shown: self.queue.to_string(),
            interval_ns: limit.interval_ns(),
            permits: limit.portion(),
        };
        match &self.keeper {
            Some(Keeper::Database { db, name }) => {
                let granted = db.write(TakePermits(ask(name))).await;
                granted.map_err(|cause| NoAnswer::Why(cause.to_string()))
            }
            Some(Keeper::Redis { server, list }) => {
                match server.take_permits(list, &ask("")).await {
                    Ok(granted) => Ok(granted),
                    Err(None) => Err(NoAnswer::Said),
                    Err(Some(why)) => Err(NoAnswer::Why(why)),
                }
            }
            #[cfg(test)]
            Some(Keeper::Scripted(scripted)) => scripted.take(&ask("")).await,
            None => Ok(Granted::Permits(limit.portion())),
        }
    }
}

/// Why no permits came.
enum NoAnswer {
    /// The log has it.
    Said,
    Why(String),
}

impl Permits {
    pub(crate) fn unlimited() -> Self {
        Self {
            limiter: None,
            left: 0,
            granted: None,
            fetching: None,
        }
    }

    /// Nothing is limited.
    #[inline]
    pub(crate) fn is_unlimited(&self) -> bool {
        self.limiter.is_none()
    }

    /// The fetch is over, and brought that many messages: another consumer may fetch, with the permits that these do not need.
    pub(crate) fn fetched(&mut self, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let spare = self.left.saturating_sub(messages);
        self.left -= spare;
        self.release(spare);
        self.fetching = None;
    }

    /// Permits that another consumer may use, as long as they are not void.
    fn release(&self, permits: u32) {
        let (Some(limiter), Some(granted)) = (&self.limiter, self.granted) else {
            return;
        };
        if permits > 0 && granted.elapsed() < FRESH {
            let mut bucket = limiter.bucket.lock();
            bucket.add(permits, granted, Instant::now());
        }
    }

    /// Whether a message may start now. Waits for its permit for as long as a message may be held for that.
    pub(crate) async fn start(&mut self) -> bool {
        self.start_some(1).await == 1
    }

    /// How many of `messages` may start now: at least one of them waits for its permit, as `start` does.
    pub(crate) async fn start_some(&mut self, messages: u32) -> u32 {
        let Some(limiter) = &self.limiter else {
            return messages;
        };
        limiter.has_started.store(true, Relaxed);
        let is_fresh = self
            .granted
            .is_some_and(|granted| granted.elapsed() < FRESH);
        let mut started = if is_fresh { self.left.min(messages) } else { 0 };
        self.left = if is_fresh { self.left - started } else { 0 };
        let until = Instant::now() + PATIENCE;
        while started < messages {
            let missing = messages - started;
            match timeout(PATIENCE, limiter.ask(missing)).await {
                Ok(Ok((taken, _))) => started += taken,
                // Some of a batch need not wait for the others.
                Ok(Err(next)) if started == 0 && next <= until => sleep_until(next).await,
                Ok(Err(_)) => break,
                Err(_) => {
                    limiter.is_late();
                    break;
                }
            }
            if started > 0 && Instant::now() > until {
                break;
            }
        }
        started
    }

    /// Those of another fetch, for a batch of both.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        let granted = [self.granted, other.granted].into_iter().flatten().min();
        self.left += std::mem::take(&mut other.left);
        self.granted = granted;
        if self.limiter.is_none() {
            self.limiter = other.limiter.take();
        }
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.release(self.left);
    }
}
