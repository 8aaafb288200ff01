//! Hands limits that were reached to the receivers: each row of `warning_notice` by one daemon.
//!
//! **At least once, and once over a normal stop.** A row is claimed for this boot, handed to the Notifier, and deleted when
//! each receiver has taken it or it was given up there. A daemon that dies in between leaves the row to another one, as its
//! tasks and messages; one that stops waits for the last answers and deletes, and only then ends its boot, which releases
//! what could not be sent.
//!
//! A row that cannot be deleted is remembered: it is not sent again by this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::log_lines::{Trouble, log_once};
use super::notice::notice;
use crate::alert::{Delivered, Notifier};
use crate::db::Db;
use crate::store::DbError;
use crate::store::warnings::{CountNotice, NoticeBreadth, NoticeClaim};
use crate::store::write::{ClaimNotices, EndNotices, SendNotices};

/// How often limits that other processes reached are polled.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Notices at a time of which no receiver has ended with any: what none can take stays in the table, for other daemons too.
///
/// **A receiver that hangs delays no other one:** what another one has taken does not count. Such notices end all the same: a
/// receiver has at most 500 waiting, and what goes beyond that is given up there, in the log.
const MOST_UNTAKEN: usize = 100;
/// Pause before a row that could not be deleted is tried again.
const DELETED_AGAIN: Duration = Duration::from_secs(60);
/// How long such a row is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// The most such rows; then nothing is claimed any more.
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
    /// What ends while others are deleted is deleted in one write behind that.
    deleting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// A receiver has not ended with them.
    in_hand: BTreeSet<i64>,
    /// Those of them that no receiver has ended with.
    untaken: BTreeSet<i64>,
    /// The receivers have them, and their rows are there still; since when.
    undeleted: BTreeMap<i64, Instant>,
    /// Those of them that nobody has tried to delete.
    to_delete: Vec<i64>,
    /// Daemons without a receiver know of this one, or never will.
    announced: bool,
    /// The answer to the last claim was lost.
    is_unsure: bool,
    closing: bool,
}

impl State {
    /// How many notices may be claimed now.
    fn room(&self) -> usize {
        if self.undeleted.len() >= MOST_REMEMBERED {
            return 0;
        }
        MOST_UNTAKEN.saturating_sub(self.untaken.len())
    }
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
            deleting: tokio::sync::Mutex::default(),
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
        while !self.0.state.lock().closing {
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = self.0.wake.notified() => {}
            }
            if deleted.elapsed() >= DELETED_AGAIN {
                deleted = Instant::now();
                self.delete_again().await;
            }
            self.poll(Last::No).await;
        }
    }

    /// Daemons without a receiver leave the notices of this environment to this one. Before the daemon is ready, and
    /// before the first poll at the latest.
    pub(crate) async fn announce(&self) {
        let config = &self.0.config;
        if self.0.breadth == NoticeBreadth::All && !self.0.state.lock().announced {
            let send = SendNotices {
                owner: config.owner.clone(),
                environment: config.environment.clone(),
            };
            if let Err(cause) = config.db.write(send).await {
                log::error!(
                    "daemons without a receiver do not learn that this one has one, and may log its alerts: {cause}"
                );
            }
            self.0.state.lock().announced = true;
        }
    }

    /// The stop: what has been reached by now is handed over. Behind it the Notifier has its last tries.
    pub(crate) async fn collect(&self, until: Instant) {
        self.0.state.lock().closing = true;
        self.wake();
        // What is not claimed by then is for others.
        let _ = timeout_at(until, self.poll(Last::Yes)).await;
    }

    /// Until the rows of all that was decided are deleted.
    pub(crate) async fn settled(&self, until: Instant) {
        let empty = async {
            loop {
                let decided = self.0.decided.notified();
                tokio::pin!(decided);
                decided.as_mut().enable();
                if self.0.state.lock().in_hand.is_empty() {
                    return;
                }
                decided.await;
            }
        };
        let _ = timeout_at(until, empty).await;
    }

    async fn poll(&self, last: Last) {
        let _one_at_a_time = self.0.claiming.lock().await;
        let config = &self.0.config;
        let (keep, is_unsure, is_closing) = {
            let state = self.0.state.lock();
            let keep: Vec<i64> = state
                .in_hand
                .iter()
                .chain(state.undeleted.keys())
                .copied()
                .collect();
            (keep, state.is_unsure, state.closing)
        };
        if is_closing && last == Last::No {
            return;
        }
        let room = self.0.state.lock().room();
        if room == 0 || !(is_unsure || self.any().await) {
            return;
        }
        self.0.state.lock().is_unsure = true;
        let claim = NoticeClaim {
            owner: config.owner.clone(),
            environment: config.environment.clone(),
            breadth: self.0.breadth.clone(),
            keep,
            most: u32::try_from(room).unwrap_or(0),
        };
        match config.db.write(ClaimNotices(claim)).await {
            Ok(rows) => {
                self.0.state.lock().is_unsure = false;
                rows.iter().for_each(|row| self.hand_over(row));
            }
            Err(cause) => log_once(
                Trouble::Claim,
                &format!("no alert of a warning can be claimed: {cause}"),
            ),
        }
    }

    async fn any(&self) -> bool {
        let reader = self.0.config.db.reader();
        let asked = reader.any_notice(&self.0.config.environment, &self.0.breadth);
        match asked.await {
            Ok(any) => any,
            // DbActor logs an outage.
            Err(DbError::Away(_)) => false,
            Err(cause) => {
                log_once(
                    Trouble::Poll,
                    &format!("alerts of warnings cannot be polled: {cause}"),
                );
                false
            }
        }
    }

    fn hand_over(&self, row: &CountNotice) {
        if !self.0.state.lock().in_hand.insert(row.id) {
            return;
        }
        self.0.state.lock().untaken.insert(row.id);
        let mut delivery = self.0.config.notifier.notify(notice(row));
        let (outbox, id) = (self.clone(), row.id);
        actix_rt::spawn(async move {
            delivery.first_ended().await;
            outbox.0.state.lock().untaken.remove(&id);
            match delivery.ended().await {
                Delivered::Everywhere | Delivered::NotEverywhere => outbox.delete(id).await,
                // For another daemon: the boot's end releases it.
                Delivered::CutShort => {}
            }
            outbox.0.state.lock().in_hand.remove(&id);
            outbox.0.decided.notify_waiters();
        });
    }

    /// It is never sent again here, whether that succeeds or not.
    async fn delete(&self, id: i64) {
        {
            let mut state = self.0.state.lock();
            state.undeleted.insert(id, Instant::now());
            state.to_delete.push(id);
        }
        let _one_at_a_time = self.0.deleting.lock().await;
        // None where the one before has deleted this one too.
        let ids = std::mem::take(&mut self.0.state.lock().to_delete);
        if !ids.is_empty() {
            self.try_delete(ids).await;
        }
    }

    async fn try_delete(&self, ids: Vec<i64>) {
        let config = &self.0.config;
        let end = EndNotices {
            owner: config.owner.clone(),
            ids: ids.clone(),
        };
        match config.db.write(end).await {
            Ok(left) => {
                let mut state = self.0.state.lock();
                for id in ids {
                    // What is gone, or another boot's, is no more of ours.
                    if !left.contains(&id) {
                        state.undeleted.remove(&id);
                    }
                }
            }
            Err(cause) => log_once(
                Trouble::Delete,
                &format!(
                    "the rows of alerts that were sent cannot be deleted; they are sent again after the next start: {cause}"
                ),
            ),
        }
    }

    async fn delete_again(&self) {
        let ids: Vec<i64> = {
            let mut state = self.0.state.lock();
            state
                .undeleted
                .retain(|_, since| since.elapsed() <= REMEMBERED);
            state.undeleted.keys().copied().collect()
        };
        if !ids.is_empty() {
            self.try_delete(ids).await;
        }
    }
}

/// Whether it is the poll of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Write;
    use crate::testing_support::{TestDb, no_hook};

    const ROWS: usize = 50;

    /// How many notices each write ended.
    type Ends = Arc<Mutex<Vec<usize>>>;

    fn outbox(world: &TestDb) -> (Outbox, Ends) {
        let ends = Ends::default();
        let seen = Arc::clone(&ends);
        let before = move |batch: Arc<[Write]>| {
            for write in batch.iter() {
                if let Write::EndNotices(end) = write {
                    seen.lock().push(end.ids.len());
                }
            }
            Box::pin(std::future::ready(())) as _
        };
        world.hook(Arc::new(before), no_hook());
        let outbox = Outbox::new(OutboxConfig {
            db: world.db.clone(),
            notifier: Notifier::silent(),
            owner: "script1/me".to_owned(),
            environment: "dev".to_owned(),
            partition: "script1".to_owned(),
        });
        let row = |n| format!("('dev', 'flag {n}', 60, 1, 0, 1, '[]', 'here', 'script1', '', 0)");
        let rows: Vec<String> = (0..ROWS).map(row).collect();
        world.sql(&format!(
            "INSERT INTO warning_notice (environment, flag, seconds, limit_count, started_ms, counted, messages, host, \
             partition_name, owner, created_ms) VALUES {}",
            rows.join(", ")
        ));
        (outbox, ends)
    }

    async fn stopped(outbox: &Outbox) {
        let until = Instant::now() + Duration::from_secs(60);
        outbox.collect(until).await;
        outbox.settled(until).await;
    }

    #[actix_rt::test]
    async fn what_ends_together_is_deleted_together() {
        let world = TestDb::start();
        let (outbox, ends) = outbox(&world);
        stopped(&outbox).await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM warning_notice"), 0);
        let ends = ends.lock().clone();
        assert_eq!(ends.iter().sum::<usize>(), ROWS);
        assert!(ends.len() <= 2, "{ends:?}");
        assert!(outbox.0.state.lock().undeleted.is_empty());
    }

    #[actix_rt::test]
    async fn the_outbox_forgets_rows_that_are_gone() {
        let world = TestDb::start();
        let (outbox, _) = outbox(&world);
        world.sql(
            "CREATE TRIGGER stays BEFORE DELETE ON warning_notice WHEN OLD.flag = 'flag 7' \
             BEGIN SELECT RAISE(ABORT, 'it stays'); END",
        );
        stopped(&outbox).await;
        let undeleted = || outbox.0.state.lock().undeleted.len();
        assert_eq!(undeleted(), 1, "the others are deleted");
        // An operator does it.
        world.sql("DROP TRIGGER stays; DELETE FROM warning_notice");
        outbox.delete_again().await;
        assert_eq!(undeleted(), 0);
    }
}
