//! Orders about dead letters that this daemon carries out.
//!
//! An order outlives the request that gave it: it goes through the dead letters a portion at a time, and can be watched
//! and stopped meanwhile. It ends with the daemon; `audit` then has the number of dead letters it has done, and the
//! rest is ordered again: a dead letter that was replayed or deleted is not there any more, so none is done
//! twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::clock::now_ms;
use crate::db::Db;
use crate::orders::dead::{Deed, Done, Meant, Rate, Watch, carry_out};
use crate::store::rows::DeadLetterOrder;
use crate::store::truncate::{Plain, audited};

/// Orders that are under way at once: each takes turns in the queue of writes.
const MOST_AT_ONCE: usize = 8;
/// Orders that are remembered, those under way among them.
const MOST_KEPT: usize = 20;

/// An order, as it was given.
pub(crate) struct NewJob {
    pub(crate) environment: String,
    pub(crate) ordered_by: String,
    pub(crate) meant: Meant,
    pub(crate) deed: Deed,
    pub(crate) rate: Option<Rate>,
}

/// An order that was given to this daemon.
pub(crate) struct DeadLetterJob {
    pub(crate) id: u64,
    pub(crate) is_replay: bool,
    /// The dead letters, for people.
    pub(crate) target: String,
    pub(crate) ordered_by: String,
    pub(crate) begun_ms: i64,
    pub(crate) watch: Watch,
    end: Mutex<Option<JobEnd>>,
    ended: Notify,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobEnd {
    pub(crate) at_ms: i64,
    /// Why it did not come to the last dead letter; none: it did, or was stopped.
    pub(crate) cause: Option<String>,
}

impl DeadLetterJob {
    pub(crate) fn end(&self) -> Option<JobEnd> {
        self.end.lock().clone()
    }

    /// What it has done, if it ends within that time.
    pub(crate) async fn wait(&self, patience: Duration) -> Option<(Done, JobEnd)> {
        let ended = async {
            loop {
                // Made before the end is read: an end in between wakes it.
                let ended = self.ended.notified();
                if let Some(end) = self.end() {
                    return end;
                }
                ended.await;
            }
        };
        let end = timeout(patience, ended).await.ok()?;
        Some((self.watch.done(), end))
    }

    fn set_end(&self, cause: Option<String>) {
        let mut end = self.end.lock();
        end.get_or_insert(JobEnd {
            at_ms: now_ms(),
            cause,
        });
        drop(end);
        self.ended.notify_waiters();
    }
}

/// A task that is dropped has ended: its thread ends.
struct EndsWithItsTask(Arc<DeadLetterJob>);

impl Drop for EndsWithItsTask {
    fn drop(&mut self) {
        self.0.set_end(Some("its thread has ended".to_owned()));
    }
}

/// The last orders of this daemon.
#[derive(Default)]
pub(crate) struct DeadLetterJobs {
    jobs: Mutex<VecDeque<Arc<DeadLetterJob>>>,
}

impl DeadLetterJobs {
    /// The newest first.
    pub(crate) fn list(&self) -> Vec<Arc<DeadLetterJob>> {
        self.jobs.lock().iter().rev().cloned().collect()
    }

    /// Begins an order on this thread; none where too many are under way.
    pub(crate) fn begin(&self, db: &Db, new: NewJob) -> Option<Arc<DeadLetterJob>> {
        let NewJob {
            environment,
            ordered_by,
            meant,
            deed,
            rate,
        } = new;
        // As its row of `audit` has it.
        let target = audited(&meant.describe(None), Plain::AsItIs);
        let mut jobs = self.jobs.lock();
        let under_way = jobs.iter().filter(|job| job.end().is_none()).count();
        if under_way >= MOST_AT_ONCE {
            return None;
        }
        let job = Arc::new(DeadLetterJob {
            id: jobs.back().map_or(1, |job| job.id + 1),
            is_replay: matches!(deed, Deed::Replay { .. }),
            target: target.clone(),
            ordered_by: ordered_by.clone(),
            begun_ms: now_ms(),
            watch: Watch::default(),
            end: Mutex::new(None),
            ended: Notify::new(),
        });
        if jobs.len() >= MOST_KEPT
            && let Some(oldest) = jobs.iter().position(|job| job.end().is_some())
        {
            jobs.remove(oldest);
        }
        jobs.push_back(Arc::clone(&job));
        drop(jobs);
        let what = if job.is_replay { "replay" } else { "purge" };
        log::info!("dead letters: {what} of {target}, ordered by {ordered_by}");
        let order = DeadLetterOrder {
            environment,
            ordered_by,
            target,
            row: None,
            before: 0,
        };
        let (db, ends) = (db.clone(), EndsWithItsTask(Arc::clone(&job)));
        actix_rt::spawn(async move {
            let watch = &ends.0.watch;
            let ended = carry_out(&db, &meant, &deed, rate, order, watch).await;
            ends.0.set_end(ended.err().map(|cause| cause.to_string()));
        });
        Some(job)
    }

    /// Answers whether it was under way.
    pub(crate) fn stop(&self, id: u64) -> bool {
        let jobs = self.jobs.lock();
        let found = jobs.iter().find(|job| job.id == id && job.end().is_none());
        found.inspect(|job| job.watch.stop()).is_some()
    }
}
