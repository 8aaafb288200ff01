//! Runs one delayed task on a worker and turns its end into what becomes of the row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use serde_json::Value;

use super::DelayConfig;
use super::due_queue::Claim;
use crate::clock::{millis, now_ms};
use crate::config::RetryRules;
use crate::delay_queue::push;
use crate::job::{Disposition, Handler, JobResult, Task, after_failure, excuse, run, used_up};
use crate::membership::may_start;
use crate::poison::alone_at_first;
use crate::poison::{Identity, Kind, Slot};
use crate::settler::Sender;
use crate::stop::StopListener;
use crate::store::rows::TaskEnd;
use crate::store::truncate::result_text;
use crate::trace::within;

/// Runs the task to its end, or to the deadline of the stop, and hands the end over to be made durable.
pub(super) async fn run_claim(
    config: Arc<DelayConfig>,
    claim: Claim,
    mut stop: StopListener,
    ends: Sender<TaskEnd>,
) {
    let end = tokio::select! {
        biased;
        end = run_to_the_end(&config, &claim, stop.clone()) => end,
        () = stop.deadline() => {
            log::warn!("delayed task {} still ran at the deadline and is released", claim.task.id);
            TaskEnd::released(&claim.task)
        }
    };
    ends.settle(end).await;
}

async fn run_to_the_end(config: &DelayConfig, claim: &Claim, stop: StopListener) -> TaskEnd {
    let quarantine = config.quarantines.of(&claim.task.exec_cmd);
    let guard = quarantine.enter(claim.task.suspect).await;
    // Asked directly before it starts: the wait at the quarantine may have been long.
    if !still_ours(config, claim, &stop).await {
        return TaskEnd::released(&claim.task);
    }
    let Some(handler) = config.handlers.get(&claim.task.exec_cmd) else {
        return unregistered(config, claim);
    };
    let rules = config.rules_of(&claim.task.exec_cmd);
    let attempt = claim.task.attempts.saturating_add(1);
    if attempt > rules.retry.max_attempts.get() {
        let had = claim.task.attempts;
        let ended = Err(used_up(had, &rules.retry, claim.task.suspect));
        return ended_as(ended, claim, had, &rules.retry);
    }
    let job = call(config, handler, claim, attempt, rules.timeout);
    let ended = alone_at_first(guard, job).await;
    if let Err(error) = &ended
        && error.is_attempt()
    {
        let (id, text) = (claim.task.id, error.to_string());
        config.state.failed(id, attempt, error.kind(), &text);
    }
    let trace = claim.task.trace.as_ref();
    within(trace, || ended_as(ended, claim, attempt, &rules.retry))
}

/// What others took over is theirs; while that is not known (the heartbeats are late), it waits.
async fn still_ours(config: &DelayConfig, claim: &Claim, stop: &StopListener) -> bool {
    let ownership = || config.liveness.ownership(claim.generation);
    let ours = may_start(ownership, stop).await;
    if !ours {
        log::warn!(
            "delayed task {} does not start here, this daemon had been silent for too long",
            claim.task.id
        );
    }
    ours
}

async fn call(
    config: &DelayConfig,
    handler: &Handler<Task, Value>,
    claim: &Claim,
    attempt: u32,
    timeout: Option<Duration>,
) -> JobResult<Value> {
    let task = Task {
        id: claim.task.id,
        name: claim.task.name.clone(),
        params: claim.task.params.clone(),
        attempt,
        due: DateTime::from_timestamp_millis(claim.task.due_ms).unwrap_or_default(),
        trace: claim.task.trace.clone(),
    };
    config.stats.started(claim.task.due_ms, now_ms());
    let state = &config.state;
    let _runs = state.starts(claim.task.id, &claim.task.exec_cmd, claim.task.due_ms);
    let began = Instant::now();
    let (slot, trace) = (slot(config, claim), task.trace.clone());
    let ended = run(handler, task, slot, timeout, trace).await;
    state.handled(began.elapsed());
    match ended {
        Err(error) => {
            let which = || format!("delayed task {}", claim.task.id);
            Err(excuse(error, which).await)
        }
        done => done,
    }
}

fn slot(config: &DelayConfig, claim: &Claim) -> Option<Slot> {
    let slots = config.slots.as_ref()?;
    let id = claim.task.id.to_string();
    let slot = slots.take(&Identity::new(Kind::Delay, "", id, claim.task.fence));
    slot.inspect_err(|cause| {
        log::error!(
            "delayed task {} runs without a slot, so the next start will not know if it ends the process: {cause}",
            claim.task.id
        );
    })
    .ok()
}

/// Nobody here can run it, and no retry can mend that. The dead letter can be replayed once its handler is there.
fn unregistered(config: &DelayConfig, claim: &Claim) -> TaskEnd {
    let known = config.handlers.keys().cloned().collect();
    let error = push::unknown(&claim.task.exec_cmd, &known);
    log::error!(
        "delayed task {} goes to the dead letters: {error}",
        claim.task.id
    );
    let result = result_text(false, &error.as_str().into());
    let disposition = Disposition::DeadLetter {
        error,
        attempts: claim.task.attempts,
    };
    end(claim, disposition, result)
}

fn end(claim: &Claim, disposition: Disposition, result: String) -> TaskEnd {
    TaskEnd {
        id: claim.task.id,
        fence: claim.task.fence,
        exec_cmd: claim.task.exec_cmd.clone(),
        disposition: disposition.due_at(|after| now_ms().saturating_add(millis(after))),
        result,
    }
}

fn ended_as(ended: JobResult<Value>, claim: &Claim, attempt: u32, rules: &RetryRules) -> TaskEnd {
    let (id, exec_cmd) = (claim.task.id, &claim.task.exec_cmd);
    let error = match ended {
        Ok(data) => {
            log::debug!("delayed task {id} (`{exec_cmd}`) is done");
            return end(claim, Disposition::Complete, result_text(true, &data));
        }
        Err(error) => error,
    };
    let text = error.to_string();
    let disposition = after_failure(&error, attempt, rules, fastrand::f64());
    match &disposition {
        Disposition::Retry(after) => log::warn!(
            "delayed task {id} (`{exec_cmd}`) failed on attempt {attempt} and runs again in {after:.1?}: {text}"
        ),
        Disposition::DeadLetter { .. } => log::error!(
            "delayed task {id} (`{exec_cmd}`) failed on attempt {attempt} and goes to the dead letters: {text}"
        ),
        Disposition::Release => {
            log::debug!("delayed task {id} (`{exec_cmd}`) is released: {text}");
        }
        // No failure completes a task.
        Disposition::Complete => {}
    }
    end(
        claim,
        disposition,
        result_text(false, &text.as_str().into()),
    )
}
