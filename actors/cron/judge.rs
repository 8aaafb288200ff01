//! What is concluded from a run's row and its file.

use super::outcome::Outcome;
use super::process::machine::{Identity, identify};
use super::process::{Liveness, Process, RunState};
use super::replace::is_here;
use crate::clock::now_ms;
use crate::store::rows::OpenRun;

/// A run that cannot be judged, and has no timeout, is given up after a day.
pub(super) const PATIENCE_MS: i64 = 24 * 3600 * 1000;

pub(super) enum Verdict {
    /// Not yet, or not here.
    Wait,
    /// It lives. Its time runs since then (unix milliseconds).
    Watch {
        process: Process,
        since_ms: i64,
    },
    Ended(Outcome),
    /// Its daemon died before it started a process.
    NeverStarted,
}

/// The file holds more than the row; where it does not name the process, or is not there (someone cleared the
/// directory), the row may.
pub(super) fn judge(run: &OpenRun, state: Option<&RunState>) -> Verdict {
    judge_by(run, state, identify)
}

fn judge_by(
    run: &OpenRun,
    state: Option<&RunState>,
    identify: impl Fn(i32, Option<u64>) -> Identity,
) -> Verdict {
    let here = state.map_or_else(|| is_here(run), |state| state.alive != Liveness::Elsewhere);
    let was_started = here && is_here(run) && run.pid > 0;
    let Some(state) = state else {
        return match here {
            true if was_started => by_process(run, identify),
            true => Verdict::NeverStarted,
            false => by_time(run),
        };
    };
    let locked = state.alive == Liveness::Locked;
    match (&state.head, &state.result) {
        (Some(head), _) if locked => Verdict::Watch {
            process: Process {
                pid: head.pid,
                start_ticks: head.start_ticks,
            },
            since_ms: head.started_ms,
        },
        _ if state.may_yet_begin(now_ms()) => Verdict::Wait,
        (_, Some(reported)) if !locked => Verdict::Ended(Outcome::reported(reported)),
        // It could not write into its file, or someone emptied that.
        (None, _) if was_started => by_process(run, identify),
        _ if locked => Verdict::Wait,
        _ if state.never_started() => Verdict::NeverStarted,
        _ if state.alive == Liveness::Unlocked => Verdict::Ended(Outcome::lost()),
        _ => by_time(run),
    }
}

/// Its row knows the process.
fn by_process(run: &OpenRun, identify: impl Fn(i32, Option<u64>) -> Identity) -> Verdict {
    let process = Process {
        pid: run.pid,
        start_ticks: run.start_ticks.map(i64::cast_unsigned),
    };
    match identify(process.pid, process.start_ticks) {
        Identity::Same => Verdict::Watch {
            process,
            since_ms: run.started_ms,
        },
        Identity::Gone => Verdict::Ended(Outcome::lost()),
        Identity::Unknown => by_time(run),
    }
}

fn by_time(run: &OpenRun) -> Verdict {
    match is_over(run) {
        true => Verdict::Ended(Outcome::given_up()),
        false => Verdict::Wait,
    }
}

/// Whether it has been open for longer than a run that cannot be judged is waited for.
pub(super) fn is_over(run: &OpenRun) -> bool {
    let patience = match run.timeout_ms {
        0 => PATIENCE_MS,
        timeout_ms => timeout_ms,
    };
    now_ms() - run.started_ms > patience
}

#[cfg(test)]
mod tests;
