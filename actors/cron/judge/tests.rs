//! Rows and files of all kinds, and what is concluded from them.

use super::super::process::machine::{Place, start_ticks};
use super::super::{RunHead, RunResult};
use super::*;

fn run(pid: u32, start_ticks: Option<u64>) -> OpenRun {
    OpenRun {
        uk: "a".to_owned(),
        entry: "e".to_owned(),
        scheduled_ms: 0,
        owner: "dead".to_owned(),
        name: "n".to_owned(),
        machine: serde_json::to_string(Place::here()).unwrap(),
        pid: pid.cast_signed(),
        start_ticks: start_ticks.map(u64::cast_signed),
        timeout_ms: 0,
        started_ms: 0,
        owner_alive: false,
        replaced: false,
        ending: false,
    }
}

fn state(alive: Liveness) -> RunState {
    RunState {
        announcement: None,
        head: None,
        result: None,
        alive,
    }
}

fn is_given_up(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ended(outcome) if *outcome == Outcome::given_up())
}

fn is_lost(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ended(outcome) if *outcome == Outcome::lost())
}

#[test]
fn a_started_run_without_its_file_is_known_by_its_process() {
    let pid = std::process::id();
    let ticks = start_ticks(pid.cast_signed());
    let lives = judge(&run(pid, ticks), None);
    assert!(matches!(lives, Verdict::Watch { process, .. } if process.start_ticks == ticks));
    let another = ticks.map(|ticks| ticks + 1);
    assert!(is_lost(&judge(&run(pid, another), None)));
    assert!(is_given_up(&judge(&run(pid, None), None)));
    assert!(matches!(judge(&run(0, None), None), Verdict::NeverStarted));
}

/// As it is where /proc hides the processes of others.
#[test]
fn an_unidentified_process_counts_as_one_elsewhere() {
    let hidden = |_, _| Identity::Unknown;
    let mut started = run(4711, Some(1));
    for file in [
        None,
        Some(state(Liveness::Unlocked)),
        Some(state(Liveness::Locked)),
    ] {
        started.started_ms = now_ms() - 1000;
        let verdict = judge_by(&started, file.as_ref(), hidden);
        assert!(matches!(verdict, Verdict::Wait), "{file:?}");
        started.started_ms = now_ms() - PATIENCE_MS - 1000;
        assert!(
            is_given_up(&judge_by(&started, file.as_ref(), hidden)),
            "{file:?}"
        );
    }
}

/// A full disk, or someone who emptied the file: it does not say which process has begun.
#[test]
fn a_run_without_a_process_is_known_by_its_row() {
    let pid = std::process::id();
    let ticks = start_ticks(pid.cast_signed());
    for alive in [Liveness::Unlocked, Liveness::Locked] {
        let file = state(alive);
        let lives = judge(&run(pid, ticks), Some(&file));
        assert!(
            matches!(lives, Verdict::Watch { process, .. } if process.start_ticks == ticks),
            "{alive:?}"
        );
        let another = ticks.map(|ticks| ticks + 1);
        assert!(
            is_lost(&judge(&run(pid, another), Some(&file))),
            "{alive:?}"
        );
    }
    let elsewhere = OpenRun {
        machine: "{}".to_owned(),
        ..run(pid, ticks)
    };
    let of_another = judge(&elsewhere, Some(&state(Liveness::Unlocked)));
    assert!(
        matches!(of_another, Verdict::NeverStarted),
        "its pid means nothing here"
    );
}

#[test]
fn a_run_elsewhere_is_given_up_after_its_timeout() {
    const HOUR_MS: i64 = 3_600_000;
    let elsewhere = |timeout_ms: i64, age_ms: i64| OpenRun {
        machine: "{}".to_owned(),
        timeout_ms,
        started_ms: now_ms() - age_ms,
        // Here it would be another's process.
        ..run(std::process::id(), None)
    };
    // With its file on a disk that both see, and without.
    let file = state(Liveness::Elsewhere);
    for file in [Some(&file), None] {
        for (timeout_ms, age_ms) in [(HOUR_MS, HOUR_MS - 60_000), (0, 24 * HOUR_MS - 60_000)] {
            let verdict = judge(&elsewhere(timeout_ms, age_ms), file);
            assert!(matches!(verdict, Verdict::Wait), "{timeout_ms} {age_ms}");
        }
        for (timeout_ms, age_ms) in [(HOUR_MS, HOUR_MS + 1), (0, 24 * HOUR_MS + 1)] {
            assert!(
                is_given_up(&judge(&elsewhere(timeout_ms, age_ms), file)),
                "{timeout_ms} {age_ms}"
            );
        }
    }
}

#[test]
fn a_file_shows_how_far_its_run_came() {
    let here = run(0, None);
    let locked = state(Liveness::Locked);
    assert!(
        matches!(judge(&here, Some(&locked)), Verdict::Wait),
        "about to start"
    );
    let unlocked = state(Liveness::Unlocked);
    assert!(matches!(
        judge(&here, Some(&unlocked)),
        Verdict::NeverStarted
    ));
    let head = RunHead::of_this_process("a".parse().unwrap(), 1);
    let (pid, start_ticks) = (head.pid, head.start_ticks);
    let began = |alive, result| RunState {
        head: Some(head.clone()),
        result,
        ..state(alive)
    };
    let lives = judge(&here, Some(&began(Liveness::Locked, None)));
    assert!(
        matches!(lives, Verdict::Watch { process, .. } if process == Process { pid, start_ticks })
    );
    assert!(is_lost(&judge(
        &here,
        Some(&began(Liveness::Unlocked, None))
    )));
    let reported = RunResult {
        status: 0,
        data: "x".into(),
        ended_ms: 2,
    };
    let ended = judge(
        &here,
        Some(&began(Liveness::Unlocked, Some(reported.clone()))),
    );
    assert!(matches!(ended, Verdict::Ended(outcome) if outcome == Outcome::reported(&reported)));
}
