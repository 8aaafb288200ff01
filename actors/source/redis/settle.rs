//! Ends: noted here, reported to the server in portions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::RedisSource;
use super::batches::{BatchReport, Ended, Hurry, Instruction, LONGEST_WAIT, Unfinished, What};
use super::error::Fault;
use super::scripts::{FINISH, SETTLE};
use super::server::Answer;
use super::trouble::Deed;
use crate::clock::millis;
use crate::job::{Disposition, USED_UP};
use crate::source::{Settled, SourceError, take_dead};
use crate::store::rows::NewDeadLetter;
use crate::store::write::InsertDeadLetters;
use crate::task::caught;

/// How long messages that are given back are gathered: they arrive in several portions, and keep their order when
/// reported together.
const GATHERING: Duration = Duration::from_millis(2);

/// The outcome of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportOutcome {
    /// The batch needs no further report.
    Done,
    /// The server had lost the batch, and has it again: to be reported once more.
    PutBack,
}

impl RedisSource {
    /// Returns when the ends are noted, and those that cannot wait are reported: batches that have ended, messages that
    /// are given back. An end that waits for the rest of its batch is reported by a task of its own.
    pub(super) async fn settle_all(&self, mut ends: Vec<Settled>) -> Result<(), SourceError> {
        let dead = take_dead(&mut ends);
        self.note(&ends);
        if !dead.is_empty() {
            // The dead letter is durable before the message goes: a crash in between repeats it, and loses nothing.
            self.ring_later();
            self.write_dead_letters(&dead).await?;
            self.note(&dead);
        }
        if ends
            .iter()
            .any(|settled| settled.disposition == Disposition::Release)
        {
            tokio::time::sleep(GATHERING).await;
        }
        self.report_due(Hurry::MayWait).await;
        self.ring_later();
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
            self.config.db.write(insert).await?;
        }
        Ok(())
    }

    /// None where the message is not here, or has ended.
    fn dead_letter(&self, batches: &super::Batches, settled: &Settled) -> Option<NewDeadLetter> {
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
            source: self.config.key.clone(),
            entry: self.config.entry.clone(),
            original_id: head.id,
            payload,
            key: None,
            headers: Vec::new(),
            error,
            attempts: *attempts,
            partition: self.config.partition.clone(),
            first_ms: head.first_ms,
        })
    }

    /// Reports the ends that wait for the rest of their batch, once they have waited for long enough.
    fn ring_later(&self) {
        if !self.batches.lock().any_waits() || self.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let me = self.me.clone();
        self.home.spawn(async move {
            tokio::time::sleep(LONGEST_WAIT).await;
            if let Some(source) = me.upgrade() {
                source.ringing.store(false, Ordering::Release);
                if let Err(panic) = caught(source.report_due(Hurry::MayWait)).await {
                    log::error!(
                        "queue `{}`: ends are written later: {panic}",
                        source.queue()
                    );
                }
                source.ring_later();
            }
        });
    }

    /// Reports all that is due, and tries until the server has it.
    pub(super) async fn report_due(&self, hurry: Hurry) {
        let _one = self.reporting.lock().await;
        loop {
            let due = self.batches.lock().due(Instant::now(), hurry);
            if due.is_empty() {
                self.trouble.accepted(Deed::Settle);
                return;
            }
            let turn = self.server().turn().await;
            match self.report_once(&due).await {
                Ok(()) => {
                    self.server().wrote();
                    self.trouble.accepted(Deed::Settle);
                }
                Err(Fault::Away(why)) => {
                    self.server().failed(&why, turn.as_ref());
                }
                Err(Fault::Refused(why)) => {
                    self.server().answered();
                    drop(turn);
                    let pause = self.trouble.refused(Deed::Settle, &why);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn report_once(&self, due: &[BatchReport]) -> Answer<()> {
        let finished = |report: &&BatchReport| matches!(report.what, What::Finished(_));
        let finished: Vec<&BatchReport> = due.iter().filter(finished).collect();
        if !finished.is_empty() {
            let mut script = FINISH.key(self.config.key.as_str());
            for report in &finished {
                if let What::Finished(ids) = &report.what {
                    script
                        .arg(&*report.boot)
                        .arg(report.number)
                        .arg(ids.len())
                        .arg(ids);
                }
            }
            let answers: Vec<i64> = self.server().run(&script).await?;
            for (report, answer) in finished.iter().zip(answers) {
                self.take_answer(report, answer).await?;
            }
        }
        for report in due {
            if let What::Some(ends) = &report.what {
                let mut script = SETTLE.key(self.config.key.as_str());
                script.arg(&*report.boot).arg(report.number).arg("some");
                ends.iter().for_each(|end| push_end(&mut script, end));
                let answer = self.server().run(&script).await?;
                if self.take_answer(report, answer).await? == ReportOutcome::PutBack {
                    // From the youngest on again: what is given back is to lie in its order.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// See the scripts for the answers.
    async fn take_answer(&self, report: &BatchReport, answer: i64) -> Answer<ReportOutcome> {
        match answer {
            1 => {
                self.batches.lock().reported(report);
                if matches!(report.what, What::Some(_)) {
                    // A retry may be due before the waiting poller polls again.
                    self.wake.notify_one();
                }
            }
            // Reported before; only the answer was lost.
            -2 if !report.sure => self.batches.lock().lost(report.number),
            // The server has lost data. Others were not given it: that takes a boot that was judged, and then the
            // server remembers which numbers it knew.
            -1 | -2 => match &report.what {
                // Nothing of this one is missed; of others something may be.
                What::Finished(_) => {
                    self.batches.lock().lost(report.number);
                    self.beat().await?;
                }
                // Put back, it can be reported.
                What::Some(_) => {
                    self.recover_batch(report.number).await?;
                    return Ok(ReportOutcome::PutBack);
                }
            },
            _ => {
                if report.sure {
                    log::warn!(
                        "queue `{}`: results of batch {} came too late, others had taken over its messages",
                        self.queue(),
                        report.number
                    );
                }
                self.batches.lock().lost(report.number);
            }
        }
        Ok(ReportOutcome::Done)
    }

    /// Messages that are not finished, by what the server and this daemon know.
    pub(super) async fn unfinished(&self) -> Result<u64, SourceError> {
        let script = super::scripts::LAG.key(self.config.key.as_str());
        let counted: u64 = match self.server().run(&script).await {
            Ok(counted) => counted,
            Err(Fault::Away(why)) => {
                self.server().failed(&why, None);
                return Err(SourceError::Said(why));
            }
            Err(Fault::Refused(why)) => {
                // The lag is not read again for a while. A server that refuses this read refuses to give out messages as well.
                self.trouble.refused(Deed::Take, &why);
                return Err(SourceError::Said(why));
            }
        };
        let ended = self.batches.lock().ended();
        Ok(counted.saturating_sub(u64::try_from(ended).unwrap_or(0)))
    }
}

/// See `scripts/settle.lua`.
fn push_end(script: &mut bb8_redis::redis::ScriptInvocation<'_>, end: &Ended) {
    script.arg(end.place);
    match &end.instruction {
        Instruction::Remove if end.framed => script.arg("x").arg(0).arg(&end.head.id),
        Instruction::Remove => script.arg("x").arg(0).arg(""),
        Instruction::Release => script.arg("b").arg(0).arg(""),
        Instruction::Retry(due) => {
            let after = due.saturating_duration_since(Instant::now());
            script.arg("r").arg(millis(after)).arg(end.head.encode())
        }
    };
}
