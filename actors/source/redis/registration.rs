//! This boot's registration at the server, which its heartbeats renew, by the server's clock.
//!
//! Heartbeats are each list's own, so that one script can decide whether a batch may be touched. A boot that others
//! judged dead goes on under a new generation, which the server knows as another boot: the batches of the old
//! generation belong to other boots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::batches::Batches;
use super::beat::{Acquaintance, Beat};
use super::boot::Boot;
use super::error::Fault;
use super::list::List;
use super::pollers::Pollers;
use super::restore::{Loss, Restorer};
use super::scripts::{BEAT, LEAVE, SETTLE};
use super::server::Answer;
use crate::clock::{Moment, millis};

/// A boot is dead after this many missed heartbeats.
const MISSED_HEARTBEATS: u32 = 3;

/// See the module's header.
pub(super) struct Registration {
    list: Arc<List>,
    pub(super) boot: Boot,
    /// Locked for one heartbeat at a time.
    view: tokio::sync::Mutex<ServerView>,
    batches: Arc<Mutex<Batches>>,
    pollers: Arc<Pollers>,
    restorer: Restorer,
    /// The source has left the server, or has tried to: no heartbeat registers it again.
    closed: AtomicBool,
}

/// What the server knows of this boot.
#[derive(Default)]
struct ServerView {
    /// The generation that it knows.
    generation: Option<u64>,
    /// It has lost data, and the messages that are held here are to be put back.
    loss: Option<Loss>,
    /// The last heartbeat: when it was sent, and the server's time.
    last: Option<(Moment, i64)>,
    /// Orphaned batches of this boot: the server has them and this process does not hold them. With the time when each was
    /// first seen.
    orphans: BTreeMap<u64, Instant>,
}

impl Registration {
    pub(super) fn new(
        list: &Arc<List>,
        batches: &Arc<Mutex<Batches>>,
        pollers: &Arc<Pollers>,
    ) -> Arc<Self> {
        Arc::new(Self {
            boot: Boot::new(&list.config.boot, list.config.heartbeat_interval),
            view: tokio::sync::Mutex::default(),
            restorer: Restorer::new(list, batches),
            list: Arc::clone(list),
            batches: Arc::clone(batches),
            pollers: Arc::clone(pollers),
            closed: AtomicBool::new(false),
        })
    }

    /// The generation that the server knows. Registers the present one where it knows none.
    pub(super) async fn registered(&self) -> Answer<u64> {
        loop {
            if let Some(generation) = self.boot.registered() {
                return Ok(generation);
            }
            self.beat().await?;
        }
    }

    /// Sends one heartbeat, and does what its answer requires.
    pub(super) async fn beat(&self) -> Answer<()> {
        self.beat_and_recover(None).await
    }

    /// Puts back this batch, which the server has lost and gave to no other boot.
    pub(super) async fn recover_batch(&self, number: u64) -> Answer<()> {
        self.beat_and_recover(Some(number)).await
    }

    async fn beat_and_recover(&self, missing: Option<u64>) -> Answer<()> {
        let mut view = self.view.lock().await;
        if self.is_closed() {
            return Err(Fault::Refused("this daemon is stopping".to_owned()));
        }
        loop {
            let generation = self.boot.liveness.generation();
            let acquaintance = match view.generation {
                Some(known) if known == generation => Acquaintance::Known,
                _ => Acquaintance::New,
            };
            let boot = self.boot.in_generation(generation);
            let (highest, kept) = {
                let batches = self.batches.lock();
                (batches.highest(&boot), batches.surely_kept_by(&boot))
            };
            let sent = Moment::now();
            match self.send_heartbeat(generation, acquaintance).await? {
                Beat::Alive {
                    now_ms,
                    last,
                    numbers,
                } => {
                    view.generation = Some(generation);
                    self.boot.confirm(generation, sent);
                    self.watch_clock(&mut view, sent, now_ms);
                    if last < highest {
                        view.loss.get_or_insert(Loss::Newest);
                    } else if missing.is_some()
                        || self.restorer.any_is_missing(&boot, &kept, &numbers)
                    {
                        view.loss.get_or_insert(Loss::Batches);
                    }
                    if let Some(loss) = view.loss {
                        self.restorer.restore(&boot, loss).await?;
                        view.loss = None;
                    }
                    return self.release_orphans(&mut view, generation, numbers).await;
                }
                Beat::Dead => {
                    log::warn!(
                        "queue `{}`: this daemon had been silent for too long, another one has taken over its messages",
                        self.list.queue()
                    );
                    self.boot.liveness.was_dead(sent);
                    view.orphans.clear();
                    // Other boots were given the batches that the server knew. It may be back at a state that did not know
                    // all of them.
                    view.loss.get_or_insert(Loss::Batches);
                }
                Beat::Lost => {
                    view.generation = None;
                    view.loss = Some(Loss::All);
                }
            }
        }
    }

    async fn send_heartbeat(&self, generation: u64, acquaintance: Acquaintance) -> Answer<Beat> {
        let mut script = BEAT.key(self.list.key());
        script
            .arg(&*self.boot.in_generation(generation))
            .arg(millis(
                self.list.config.heartbeat_interval * MISSED_HEARTBEATS,
            ))
            .arg(match acquaintance {
                Acquaintance::New => "first",
                Acquaintance::Known => "again",
            });
        self.list.server().run_for_life(&script).await
    }

    /// Notes a jump of the server's clock: the heartbeats of others seem old until their next ones come.
    fn watch_clock(&self, view: &mut ServerView, sent: Moment, now_ms: i64) {
        if let Some((before, before_ms)) = view.last {
            let passed = millis(sent.since(before));
            let off = (now_ms - before_ms).abs_diff(passed);
            let interval_ms = self.list.config.heartbeat_interval.as_millis();
            if off > interval_ms.try_into().unwrap_or(u64::MAX) {
                self.boot.liveness.clock_jumped(sent);
            }
        }
        view.last = Some((sent, now_ms));
    }

    /// Releases orphaned batches of this boot: their request reached the server after the poller had given it up. A batch
    /// is released once it has been seen for longer than any answer takes.
    async fn release_orphans(
        &self,
        view: &mut ServerView,
        generation: u64,
        numbers: Vec<u64>,
    ) -> Answer<()> {
        let asked = self.pollers.asked();
        let unheld: Vec<u64> = {
            let batches = self.batches.lock();
            let unheld = |number: &u64| !asked.contains(number) && !batches.holds(*number);
            numbers.into_iter().filter(unheld).collect()
        };
        view.orphans.retain(|number, _| unheld.contains(number));
        for number in unheld.into_iter().rev() {
            let since = *view.orphans.entry(number).or_insert_with(Instant::now);
            if since.elapsed() >= self.list.config.heartbeat_interval {
                self.release_batch(generation, number).await?;
                view.orphans.remove(&number);
                self.pollers.wake();
            }
        }
        Ok(())
    }

    /// Releases all messages that are left of one batch of this boot.
    async fn release_batch(&self, generation: u64, number: u64) -> Answer<()> {
        let mut script = SETTLE.key(self.list.key());
        script
            .arg(&*self.boot.in_generation(generation))
            .arg(number)
            .arg("back");
        self.list.server().run::<i64>(&script).await.map(drop)
    }

    /// Releases all messages that the server has of this generation, and ends its registration.
    pub(super) async fn leave(&self, generation: u64) -> Answer<()> {
        let view = self.view.lock().await;
        self.close();
        if view.generation != Some(generation) {
            return Ok(());
        }
        let beat = self.send_heartbeat(generation, Acquaintance::Known).await?;
        if let Beat::Alive { mut numbers, .. } = beat {
            // The youngest first: the oldest message comes to lie at the right end.
            numbers.sort_unstable();
            for number in numbers.into_iter().rev() {
                self.release_batch(generation, number).await?;
            }
        }
        let mut script = LEAVE.key(self.list.key());
        script.arg(&*self.boot.in_generation(generation));
        self.list.server().run::<i64>(&script).await.map(drop)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
