//! Settles messages of a list: ends are noted here, and reported to the server in batches (`reports.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::batches::{Batches, Hurry, Instruction, LONGEST_WAIT, Unfinished};
use super::error::Fault;
use super::list::List;
use super::reports::Reports;
use super::scripts::LAG;
use super::trouble::Deed;
use crate::job::{Disposition, USED_UP};
use crate::source::{Settled, SourceError, take_dead};
use crate::store::rows::NewDeadLetter;
use crate::store::write::InsertDeadLetters;
use crate::task::caught;

/// How long released messages are gathered. They arrive in several calls, and keep their order when reported together.
const GATHERING: Duration = Duration::from_millis(2);

/// See the module's header.
pub(super) struct Settling {
    list: Arc<List>,
    /// The batches that this daemon holds.
    pub(super) batches: Arc<Mutex<Batches>>,
    pub(super) reports: Reports,
    /// A task is set to report the ends that have waited for [`LONGEST_WAIT`].
    will_report: AtomicBool,
}

impl Settling {
    pub(super) fn new(
        list: &Arc<List>,
        batches: &Arc<Mutex<Batches>>,
        reports: Reports,
    ) -> Arc<Self> {
        Arc::new(Self {
            list: Arc::clone(list),
            batches: Arc::clone(batches),
            reports,
            will_report: AtomicBool::new(false),
        })
    }

    /// Returns when the ends are noted, and those that cannot wait are reported: batches that have ended, and releases. An
    /// end that waits for the rest of its batch is reported by a task of its own.
    pub(super) async fn settle_all(
        self: &Arc<Self>,
        mut ends: Vec<Settled>,
    ) -> Result<(), SourceError> {
        let dead = take_dead(&mut ends);
        self.note(&ends);
        if !dead.is_empty() {
            // The dead letter is durable before its message goes: a crash in between repeats the message and loses nothing.
            self.report_later();
            self.write_dead_letters(&dead).await?;
            self.note(&dead);
        }
        if ends
            .iter()
            .any(|settled| settled.disposition == Disposition::Release)
        {
            tokio::time::sleep(GATHERING).await;
        }
        self.reports.report_due(Hurry::MayWait).await;
        self.report_later();
        Ok(())
    }

    fn note(&self, ends: &[Settled]) {
        let now = Instant::now();
        let mut batches = self.batches.lock();
        for settled in ends {
            let instruction = match &settled.disposition {
                Disposition::Complete | Disposition::DeadLetter { .. } => Instruction::Remove,
                Disposition::Retry(after) => Instruction::Retry(now + *after),
                Disposition::Release => Instruction::Release,
            };
            batches.note(settled.receipt.of_redis(), instruction, now);
        }
    }

    async fn write_dead_letters(&self, dead: &[Settled]) -> Result<(), SourceError> {
        let dead_letters: Vec<NewDeadLetter> = {
            let batches = self.batches.lock();
            let dead_letter = |settled: &Settled| self.dead_letter(&batches, settled);
            dead.iter().filter_map(dead_letter).collect()
        };
        if !dead_letters.is_empty() {
            let insert = InsertDeadLetters { dead_letters };
            self.list.config.db.write(insert).await?;
        }
        Ok(())
    }

    /// The dead letter of a message. None where the message is not here, or has ended.
    fn dead_letter(&self, batches: &Batches, settled: &Settled) -> Option<NewDeadLetter> {
        let Disposition::DeadLetter { error, attempts } = &settled.disposition else {
            return None;
        };
        let Unfinished {
            head,
            payload,
            death,
        } = batches.unfinished(settled.receipt.of_redis())?;
        let error = match death {
            Some(how) if error.contains(USED_UP) => format!("{error} ({how})"),
            _ => error.clone(),
        };
        Some(NewDeadLetter {
            kind: "redis",
            source: self.list.config.key.clone(),
            entry: self.list.config.entry.clone(),
            original_id: head.id,
            payload,
            key: None,
            headers: Vec::new(),
            error,
            attempts: *attempts,
            partition: self.list.config.partition.clone(),
            first_ms: head.first_ms,
        })
    }

    /// Sets a task, where none is set, that reports the ends which have waited for [`LONGEST_WAIT`].
    fn report_later(self: &Arc<Self>) {
        if !self.batches.lock().any_waits() || self.will_report.swap(true, Ordering::AcqRel) {
            return;
        }
        let settling = Arc::downgrade(self);
        self.list.home.spawn(async move {
            tokio::time::sleep(LONGEST_WAIT).await;
            if let Some(settling) = settling.upgrade() {
                settling.will_report.store(false, Ordering::Release);
                let reported = settling.reports.report_due(Hurry::MayWait);
                if let Err(panic) = caught(reported).await {
                    let queue = settling.list.queue();
                    log::error!("queue `{queue}`: ends are written later: {panic}");
                }
                settling.report_later();
            }
        });
    }

    /// Messages that are not finished, by what the server and this daemon know.
    pub(super) async fn unfinished(&self) -> Result<u64, SourceError> {
        let script = LAG.key(self.list.key());
        let counted: u64 = match self.list.server().run(&script).await {
            Ok(counted) => counted,
            Err(Fault::Away(why)) => {
                self.list.server().failed(&why, None);
                return Err(SourceError::Said(why));
            }
            Err(Fault::Refused(why)) => {
                // The pause is not used, as the lag is read seldom. A server that refuses this read refuses `take` as well.
                self.list.trouble.refused(Deed::Take, &why);
                return Err(SourceError::Said(why));
            }
        };
        let ended = self.batches.lock().ended();
        Ok(counted.saturating_sub(u64::try_from(ended).unwrap_or(0)))
    }
}
