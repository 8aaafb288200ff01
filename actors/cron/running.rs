//! A run that this daemon has started, from its first moment to its end.
//!
//! **Its time runs from the start of its process.** What is written about it in the meantime goes on beside that: a
//! database that is away, or slow, gives no run more time than its `timeout`.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::fire::Firing;
use super::outcome::Outcome;
use super::pinging::Ended;
use super::process::{Child, ExitStatus, Signals, Termination, inspect, terminate_child};
use super::record_end::{end_run, log_end};
use super::replace::{Mark, mark_of};
use crate::state::{CronState, PrintedPart};
use crate::store::write::RunStarted;

/// While it lives the run prints. Its end is noted on a blocking thread: the disk of the log may hang, and CronActor's thread
/// must not.
struct Printing {
    state: Arc<CronState>,
    run_id: String,
}

impl Printing {
    fn begun(firing: &Firing, part: Option<PrintedPart>) -> Self {
        let (state, run_id) = (Arc::clone(&firing.entry.state), firing.uk.to_string());
        if let Some(part) = part {
            state.printed.begun(&run_id, part);
        }
        Self { state, run_id }
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        let (state, run_id) = (Arc::clone(&self.state), std::mem::take(&mut self.run_id));
        // Without a runtime the process ends, and its page with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || state.printed.ended(&run_id));
        }
    }
}

impl Firing {
    /// Watches the process to its end, and writes that.
    pub(super) async fn watch(&self, child: Child) {
        let deadline = self
            .entry
            .config
            .timeout
            .map(|limit| Instant::now() + limit);
        let (pid, start_ticks) = (child.pid, child.start_ticks);
        let watched = &self.config.watched;
        watched.set_child(self.uk.as_str(), child.signals());
        let output = Some((child.output.clone(), child.output_from));
        let printing = Printing::begun(self, child.printed.clone());
        let noted = async {
            self.note_started(pid, start_ticks).await;
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = self.end_of(child, deadline, printing) => outcome,
            // What is not written by then need not be: the end has the pid too.
            never = noted => never,
        };
        let Some((outcome, exit)) = outcome else {
            self.entry.state.left(self.uk.as_str());
            return;
        };
        let end = Ended {
            outcome: &outcome,
            exit,
            output,
        };
        self.config.ping_end(&self.entry, &self.uk, end);
        self.publish_end(&outcome);
        // Who replaces it logs that, unless this end is written before.
        let ordinary = outcome.is_ordinary();
        if !ordinary {
            log_end(self.name(), self.uk.as_str(), &outcome);
        }
        let uk = self.uk.as_str();
        if end_run(&self.config, uk, outcome.clone(), pid, None).await && ordinary {
            log_end(self.name(), uk, &outcome);
        }
    }

    pub(super) fn publish_end(&self, outcome: &Outcome) {
        outcome.publish(&self.entry.state, self.uk.as_str());
    }

    async fn note_started(&self, pid: i32, start_ticks: Option<u64>) {
        let started = RunStarted {
            uk: self.uk.to_string(),
            pid,
            start_ticks: start_ticks.map(u64::cast_signed),
        };
        if let Err(cause) = self.config.db.write(started).await {
            log::warn!(
                "cron `{}`: the pid of run {} is not in its row: {cause}",
                self.name(),
                self.uk
            );
        }
    }

    /// How it ended; none where another process has written that already.
    async fn end_of(
        &self,
        child: Child,
        deadline: Option<Instant>,
        printing: Printing,
    ) -> Option<(Outcome, ExitStatus)> {
        let output = child.output.clone();
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let signals = child.signals();
        let exited = child.exited();
        tokio::pin!(exited);
        let exit = tokio::select! {
            biased;
            exit = &mut exited => exit,
            () = over => match self.end_late(&signals).await {
                Some(outcome) => return Some((outcome, ExitStatus::Unknown)),
                None => exited.await,
            },
        };
        // Before the database is asked: later runs print to the same file meanwhile.
        drop(printing);
        let reported = self.reported();
        let mark = match reported {
            Some(_) => Mark::None,
            None => mark_of(&self.config, self.uk.as_str()).await,
        };
        match mark {
            Mark::None => Some((Outcome::seen(reported.as_ref(), exit, &output), exit)),
            Mark::Replaced => Some((Outcome::replaced(), exit)),
            Mark::Ordered(by) => Some((Outcome::ended_by_order(&by), exit)),
            // The daemon that replaced it has logged it.
            Mark::Ended => None,
        }
    }

    /// None where it goes on, or had ended already: then it is waited for, and its end shows what became of it.
    async fn end_late(&self, child: &Signals) -> Option<Outcome> {
        let (name, uk, pid) = (self.name(), &self.uk, child.pid());
        log::error!("cron `{name}`: run {uk} (pid {pid}) exceeds its timeout and is ended");
        match terminate_child(child).await {
            Ok(Termination::OnRequest | Termination::Forced) => {
                let limit = self.entry.config.timeout.unwrap_or_default();
                Some(Outcome::timeout(limit.as_secs_f64()))
            }
            Ok(Termination::NotThere) => None,
            Err(cause) => {
                log::error!("cron `{name}`: pid {pid} cannot be ended, and goes on: {cause}");
                None
            }
        }
    }

    fn reported(&self) -> Option<super::RunResult> {
        let path = self.config.runs.join(format!("{}.json", self.uk));
        inspect(&path).ok()?.result
    }
}
