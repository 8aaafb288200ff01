//! Hands limits that were reached to the receivers: each row of `warning_notice` by one daemon.
//!
//! **At least once, and once over a normal stop.** A row is claimed for this boot, handed to the Notifier, and deleted when
//! each receiver has taken it or it was given up there. A daemon that dies in between leaves the row to another one, as its
//! tasks and messages; one that stops waits for the last answers and deletes, and only then ends its boot, which releases
//! what could not be sent.
//!
//! A row that cannot be deleted is remembered: it is not sent again by this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::log_lines::say_once;
use super::notice::notice;
use crate::alert::{Delivered, Notifier};
use crate::db::warnings::{CountNotice, NoticeBreadth, NoticeClaim};
use crate::db::{Db, DbError};

/// How often to look for limits that other processes reached.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Notices in the hands of the receivers at a time: what they cannot take stays in the table, for other daemons too.
const MOST_IN_HAND: usize = 100;
/// A row that could not be deleted is tried again after so long.
const DELETED_AGAIN: Duration = Duration::from_secs(60);
/// And is remembered for so long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// So many such rows; then nothing is claimed any more.
const MOST_REMEMBERED: usize = 1_000;

/// What it works with.
pub(crate) struct OutboxConfig {
    pub(crate) db: Db,
    pub(crate) notifier: Notifier,
    pub(crate) owner: String,
    pub(crate) environment: String,
    pub(crate) partition: String,
}

/// See the module's header. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Inner>);

struct Inner {
    config: OutboxConfig,
    breadth: NoticeBreadth,
    wake: Notify,
    decided: Notify,
    state: Mutex<State>,
    /// Of two claims at once each would answer what the other one took.
    claiming: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    in_hand: BTreeSet<i64>,
    /// The receivers have them, and their rows are there still; since when.
    undeleted: BTreeMap<i64, Instant>,
    /// The answer to the last claim was lost.
    is_unsure: bool,
    closing: bool,
}

impl Outbox {
    pub(crate) fn new(config: OutboxConfig) -> Self {
        let breadth = match config.notifier.takes_counts() {
            true => NoticeBreadth::All,
            false => NoticeBreadth::OfPartition(config.partition.clone()),
        };
        Self(Arc::new(Inner {
            config,
            breadth,
            wake: Notify::new(),
            decided: Notify::new(),
            state: Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
        }))
    }

    /// This process has reached a limit.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Until the stop.
    pub(crate) async fn run(&self) {
        self.announce().await;
        let mut deleted = Instant::now();
        while !self.lock().closing {
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = self.0.wake.notified() => {}
            }
            if deleted.elapsed() >= DELETED_AGAIN {
                deleted = Instant::now();
                self.delete_again().await;
            }
            self.look(Last::No).await;
        }
    }

    /// Daemons without a receiver leave the notices of this environment to this one.
    async fn announce(&self) {
        let config = &self.0.config;
        if self.0.breadth == NoticeBreadth::All {
            let sends = config
                .db
                .send_notices(config.owner.clone(), config.environment.clone());
            if let Err(cause) = sends.await {
                log::error!(
                    "daemons without a receiver do not learn that this one has one, and may log its alerts: {cause}"
                );
            }
        }
    }

    /// The stop: what has been reached by now is handed over. Behind it the Notifier has its last tries.
    pub(crate) async fn collect(&self, until: Instant) {
        self.lock().closing = true;
        self.wake();
        // What is not claimed by then is for others.
        let _ = timeout_at(until, self.look(Last::Yes)).await;
    }

    /// Until the rows of all that was decided are deleted.
    pub(crate) async fn settled(&self, until: Instant) {
        let empty = async {
            loop {
                let decided = self.0.decided.notified();
                tokio::pin!(decided);
                decided.as_mut().enable();
                if self.lock().in_hand.is_empty() {
                    return;
                }
                decided.await;
            }
        };
        let _ = timeout_at(until, empty).await;
    }

    async fn look(&self, last: Last) {
        let _one_at_a_time = self.0.claiming.lock().await;
        let config = &self.0.config;
        let (keep, is_unsure, is_closing) = {
            let state = self.lock();
            let keep: Vec<i64> = state
                .in_hand
                .iter()
                .chain(state.undeleted.keys())
                .copied()
                .collect();
            (keep, state.is_unsure, state.closing)
        };
        if (is_closing && last == Last::No) || keep.len() >= MOST_REMEMBERED {
            return;
        }
        let room = MOST_IN_HAND.saturating_sub(self.lock().in_hand.len());
        if room == 0 || !(is_unsure || self.any().await) {
            return;
        }
        self.lock().is_unsure = true;
        let claim = NoticeClaim {
            owner: config.owner.clone(),
            environment: config.environment.clone(),
            breadth: self.0.breadth.clone(),
            keep,
            most: u32::try_from(room).unwrap_or(0),
        };
        match config.db.claim_notices(claim).await {
            Ok(rows) => {
                self.lock().is_unsure = false;
                rows.iter().for_each(|row| self.hand_over(row));
            }
            Err(cause) => say_once(&format!("no alert of a warning can be claimed: {cause}")),
        }
    }

    async fn any(&self) -> bool {
        let reader = self.0.config.db.reader();
        let asked = reader.any_notice(&self.0.config.environment, &self.0.breadth);
        match asked.await {
            Ok(any) => any,
            // DbActor tells of an outage.
            Err(DbError::Away(_)) => false,
            Err(cause) => {
                say_once(&format!("alerts of warnings cannot be looked for: {cause}"));
                false
            }
        }
    }

    fn hand_over(&self, row: &CountNotice) {
        if !self.lock().in_hand.insert(row.id) {
            return;
        }
        let delivery = self.0.config.notifier.notify(notice(row));
        let (outbox, id) = (self.clone(), row.id);
        actix_rt::spawn(async move {
            match delivery.ended().await {
                Delivered::Everywhere | Delivered::NotEverywhere => outbox.delete(id).await,
                // For another daemon: the boot's end releases it.
                Delivered::CutShort => {}
            }
            outbox.lock().in_hand.remove(&id);
            outbox.0.decided.notify_waiters();
        });
    }

    /// It is never sent again here, whether that succeeds or not.
    async fn delete(&self, id: i64) {
        self.lock().undeleted.insert(id, Instant::now());
        if self.try_delete(id).await {
            self.lock().undeleted.remove(&id);
        }
    }

    async fn try_delete(&self, id: i64) -> bool {
        let config = &self.0.config;
        match config.db.end_notice(config.owner.clone(), id).await {
            Ok(deleted) => deleted > 0,
            Err(cause) => {
                say_once(&format!(
                    "the row of an alert that was sent cannot be deleted, and is sent again after the next start: {cause}"
                ));
                false
            }
        }
    }

    async fn delete_again(&self) {
        let undeleted: Vec<(i64, Instant)> = {
            let state = self.lock();
            let known = state.undeleted.iter();
            known.map(|(id, since)| (*id, *since)).collect()
        };
        for (id, since) in undeleted {
            if self.try_delete(id).await || since.elapsed() > REMEMBERED {
                self.lock().undeleted.remove(&id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic half way.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is the look of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}
