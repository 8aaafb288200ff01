//! Reports ends to the server, and tries until the server has them.

use std::sync::Arc;

use bb8_redis::redis::ScriptInvocation;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::batches::{BatchReport, Batches, Ended, Hurry, Instruction, What};
use super::error::Fault;
use super::list::List;
use super::pollers::Pollers;
use super::registration::Registration;
use super::scripts::{FINISH, SETTLE};
use super::server::Answer;
use super::trouble::Deed;
use crate::clock::millis;

/// See the module's header.
pub(super) struct Reports {
    list: Arc<List>,
    batches: Arc<Mutex<Batches>>,
    registration: Arc<Registration>,
    pollers: Arc<Pollers>,
    /// One task at a time reports to the server. It takes all ends that are due.
    one_at_a_time: tokio::sync::Mutex<()>,
}

/// The outcome of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportOutcome {
    /// The batch needs no further report.
    Done,
    /// The server had lost the batch, and has it again: the ends are to be reported once more.
    PutBack,
}

impl Reports {
    pub(super) fn new(
        list: &Arc<List>,
        batches: &Arc<Mutex<Batches>>,
        registration: &Arc<Registration>,
        pollers: &Arc<Pollers>,
    ) -> Self {
        Self {
            list: Arc::clone(list),
            batches: Arc::clone(batches),
            registration: Arc::clone(registration),
            pollers: Arc::clone(pollers),
            one_at_a_time: tokio::sync::Mutex::default(),
        }
    }

    /// Reports all ends that are due, and tries until the server has them.
    pub(super) async fn report_due(&self, hurry: Hurry) {
        let _one = self.one_at_a_time.lock().await;
        loop {
            let due = self.batches.lock().due(Instant::now(), hurry);
            if due.is_empty() {
                self.list.trouble.accepted(Deed::Settle);
                return;
            }
            let turn = self.list.server().turn().await;
            match self.report_once(&due).await {
                Ok(()) => {
                    self.list.server().wrote();
                    self.list.trouble.accepted(Deed::Settle);
                }
                Err(Fault::Away(why)) => {
                    self.list.server().failed(&why, turn.as_ref());
                }
                Err(Fault::Refused(why)) => {
                    self.list.server().answered();
                    drop(turn);
                    let pause = self.list.trouble.refused(Deed::Settle, &why);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn report_once(&self, due: &[BatchReport]) -> Answer<()> {
        let finished = |report: &&BatchReport| matches!(report.what, What::Finished(_));
        let finished: Vec<&BatchReport> = due.iter().filter(finished).collect();
        if !finished.is_empty() {
            let mut script = FINISH.key(self.list.key());
            for report in &finished {
                if let What::Finished(ids) = &report.what {
                    script
                        .arg(&*report.boot)
                        .arg(report.number)
                        .arg(ids.len())
                        .arg(ids);
                }
            }
            let answers: Vec<i64> = self.list.server().run(&script).await?;
            for (report, answer) in finished.iter().zip(answers) {
                self.take_answer(report, answer).await?;
            }
        }
        for report in due {
            if let What::Some(ends) = &report.what {
                let mut script = SETTLE.key(self.list.key());
                script.arg(&*report.boot).arg(report.number).arg("some");
                ends.iter().for_each(|end| push_end(&mut script, end));
                let answer = self.list.server().run(&script).await?;
                if self.take_answer(report, answer).await? == ReportOutcome::PutBack {
                    // Again from the youngest batch on, so that released messages keep their order.
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
                    self.pollers.wake();
                }
            }
            // Reported before; only the answer was lost.
            -2 if !report.sure => self.batches.lock().lost(report.number),
            // The server has lost data. No other boot was given the batch: for that this boot must have been judged dead,
            // and then the server remembers which numbers it knew.
            -1 | -2 => match &report.what {
                // No message of this batch is missed. Other batches may be missing.
                What::Finished(_) => {
                    self.batches.lock().lost(report.number);
                    self.registration.beat().await?;
                }
                // Once the batch is put back, its ends can be reported.
                What::Some(_) => {
                    self.registration.recover_batch(report.number).await?;
                    return Ok(ReportOutcome::PutBack);
                }
            },
            _ => {
                if report.sure {
                    log::warn!(
                        "queue `{}`: results of batch {} came too late, others had taken over its messages",
                        self.list.queue(),
                        report.number
                    );
                }
                self.batches.lock().lost(report.number);
            }
        }
        Ok(ReportOutcome::Done)
    }
}

/// See `scripts/settle.lua`.
fn push_end(script: &mut ScriptInvocation<'_>, end: &Ended) {
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
