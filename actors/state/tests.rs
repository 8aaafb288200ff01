//! What is published, and what readers make of it.

use std::time::Duration;

use super::cell::{Counter, Histogram};
use super::recent::{Recent, cut};
use super::view::{Away, HistoryView};
use super::*;
use crate::state::EndedRun;
use crate::testing_support::queue_state;

fn identity() -> Identity {
    Identity {
        version: "0",
        environment: "dev".to_owned(),
        partition: "script1".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        boot: "b".to_owned(),
        started_ms: 1,
    }
}

fn entry(name: &str, key: &str) -> Arc<CronState> {
    CronState::new(CronFacts {
        name: name.to_owned(),
        key: key.to_owned(),
        expression: "@daily".to_owned(),
        timezone: "UTC".to_owned(),
        exec_cmd: "c".to_owned(),
        replaces: false,
    })
}

#[test]
fn a_value_falls_into_the_bucket_that_it_does_not_exceed() {
    let histogram = Histogram::new(Scale::Fast);
    for us in [0, 100, 101, 300, 1_000_000, 100_000_000, 100_000_001] {
        histogram.note(Duration::from_micros(us));
    }
    let read = histogram.read();
    assert_eq!(read.counts, [2, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1]);
    assert_eq!(read.count(), 7);
    assert!((read.sum() - 201.000_502).abs() < 1e-9);
    let bounds: Vec<f64> = Scale::Slow.bounds().collect();
    assert_eq!((bounds[0], bounds[4], bounds[12]), (0.01, 1.0, 10_000.0));
}

#[test]
fn a_sum_bears_any_number_of_messages_from_the_year_1970() {
    let state = queue_state();
    let consumers = [state.join(), state.join()];
    let age = Duration::from_secs(56 * 365 * 86_400);
    for _ in 0..20_000 {
        consumers[0].waited(age, 1);
        consumers[1].waited(age, 500);
    }
    let waited = state.counts().waited;
    assert_eq!(waited.count(), 20_000 * 501);
    assert_eq!(waited.sum(), age.as_secs_f64() * 20_000.0 * 501.0);
    consumers[0].waited(Duration::MAX, 2);
    assert!(state.counts().waited.sum() > waited.sum());
}

#[test]
fn values_that_are_noted_together_have_their_mean() {
    let histogram = Histogram::new(Scale::Fast);
    histogram.note_alone(Duration::from_micros(1600), 16);
    histogram.note_alone(Duration::from_secs(5), 0);
    let first = histogram.read();
    assert_eq!((first.counts[0], first.count()), (16, 16));
    assert_eq!(first.quantile(0.99), Some(0.0001));
    histogram.note_alone(Duration::from_secs(4), 2);
    let second = histogram.read();
    assert_eq!(second.mean_since(&first), Some(2.0));
    assert_eq!(second.mean_since(&second), None);
    assert_eq!(Distribution::empty(Scale::Fast).quantile(0.5), None);
}

#[test]
fn counts_of_consumers_that_ended_stay() {
    let state = queue_state();
    let (one, two) = (state.join(), state.join());
    two.failed(FailureCause::Timeout);
    one.handled(Duration::from_millis(10), 3);
    two.handled(Duration::from_millis(10), 1);
    drop(one);
    assert_eq!(state.counts().handler.count(), 4);
    drop(two);
    let counts = state.counts();
    assert_eq!((counts.timeouts, counts.failures()), (1, 1));
    assert_eq!(counts.handler.count(), 4);
}

#[test]
fn what_is_settled_is_counted_by_its_kind_and_is_in_flight_no_more() {
    let state = queue_state();
    state.fetched(12);
    let settled = Settlements {
        completed: 5,
        retried: 3,
        dead_lettered: 2,
        released: 1,
    };
    state.settled(settled);
    state.settled(Settlements::default());
    let view = state.view();
    let counts = &view.counts;
    assert_eq!(
        [
            counts.completed,
            counts.retried,
            counts.dead_lettered,
            counts.released
        ],
        [5, 3, 2, 1]
    );
    assert_eq!(view.in_flight, 1);
}

#[test]
fn another_thread_reads_what_one_counts() {
    let counter = Arc::new(Counter::default());
    let read = Arc::clone(&counter);
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        while last < 100_000 {
            let now = read.get();
            assert!(now >= last, "it never goes back");
            last = now;
        }
    });
    (0..100_000).for_each(|_| counter.add_alone(1));
    reader.join().unwrap();
}

#[test]
fn a_queue_is_behind_from_the_check_that_finds_it_full_and_above_its_limit() {
    let state = queue_state();
    state.sized(1, 1, 4);
    state.lag_checked(Some(5), false);
    assert_eq!(state.view().behind_since_ms, None, "it can still grow");
    state.sized(4, 3, 4);
    let view = state.view();
    assert!(view.behind_since_ms.is_some());
    let since = view.behind_since_ms;
    state.lag_checked(None, false);
    state.lag_checked(Some(9), false);
    let view = state.view();
    assert_eq!((view.behind_since_ms, view.lag), (since, Some(9)));
    assert_eq!(view.unread_lags, 1);
    state.lag_checked(Some(0), false);
    assert_eq!(state.view().behind_since_ms, None);
}

#[test]
fn a_queue_that_people_paused_is_neither_behind_nor_late() {
    let state = queue_state();
    state.sized(4, 4, 4);
    state.lag_checked(Some(5), false);
    assert!(state.view().behind_since_ms.is_some());
    state.set_paused(true);
    assert_eq!(state.view().behind_since_ms, None);
    state.lag_checked(Some(9), false);
    assert_eq!(state.view().behind_since_ms, None);
    state.set_paused(false);
    assert!(state.view().behind_since_ms.is_some());

    let delay = DelayState::new();
    delay.counted(3, Some(7));
    let oldest = || delay.sight().unwrap().oldest_due_ms;
    assert_eq!(oldest(), Some(7));
    delay.set_paused(true);
    assert_eq!(oldest(), None);
    delay.set_paused(false);
    assert_eq!(oldest(), Some(7));
}

#[test]
fn only_the_last_few_are_kept_and_long_texts_are_cut() {
    let recent = Recent::new(3);
    (0..5).for_each(|n| recent.push(n));
    assert_eq!(recent.newest(), [4, 3, 2]);
    let long = "é".repeat(201);
    assert_eq!(cut(&long).chars().count(), 200);
    assert!(cut(&long).ends_with('…'));
    assert_eq!(cut(&"é".repeat(200)), "é".repeat(200));
}

#[test]
fn the_oldest_message_is_the_one_that_waits_or_the_one_that_is_handled() {
    let state = queue_state();
    let now = crate::clock::now_ms();
    let age = || state.view().oldest_age_ms.unwrap();
    assert_eq!(age(), 0, "there is none");
    state.lag_checked(Some(2), false);
    state.oldest_was_due(Some(now - 90_000));
    assert!((90_000..150_000).contains(&age()), "{}", age());
    let (one, two) = (state.join(), state.join());
    one.handles(Some(now - 600_000));
    two.handles(Some(now - 300_000));
    assert!((600_000..660_000).contains(&age()), "{}", age());
    one.idle();
    assert!((300_000..360_000).contains(&age()), "{}", age());
    two.idle();
    // What cannot be read now is not shown as that of now; what is not due yet is not old.
    state.lag_checked(None, false);
    assert_eq!(age(), 0);
    state.lag_checked(Some(1), false);
    state.oldest_was_due(Some(now + 600_000));
    assert_eq!(age(), 0);
}

#[test]
fn what_runs_goes_with_its_guard() {
    let state = queue_state();
    let long = state.runs("7", 1);
    {
        let _short = state.runs("8", 2);
        let ids: Vec<String> = state.view().running.into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ["7", "8"], "the oldest first");
    }
    assert_eq!(state.view().running.len(), 1);
    drop(long);
    assert!(state.view().running.is_empty());
}

#[test]
fn every_end_of_a_run_is_counted_once() {
    let entry = entry("n", "k");
    let scheduled = crate::clock::now_ms() - 20;
    entry.started("u1", scheduled, 7);
    entry.attached("u1", 1, 7);
    assert_eq!(entry.view().running.len(), 1, "it is known already");
    entry.ended("u1", "success", "{}");
    for status in ["failed", "timeout", "killed", "lost", "skipped"] {
        entry.ended("u2", status, "{}");
    }
    entry.ended_as_configured("u3", "killed");
    entry.missed(3);
    let view = entry.view();
    let fires = view.fires;
    assert_eq!(
        [
            fires.success,
            fires.failed,
            fires.timeout,
            fires.killed,
            fires.lost,
            fires.skipped,
            fires.missed
        ],
        [1, 1, 1, 2, 1, 1, 3]
    );
    assert_eq!(fires.failures(), 8);
    assert_eq!((view.lateness.count(), view.duration.count()), (1, 1));
    assert!(view.last_success_ms.is_some() && view.running.is_empty());
    assert_eq!(
        view.failures.len(),
        4,
        "skipping and replacing are as configured"
    );
    let bad = entry.sight().bad.unwrap();
    assert_eq!((bad.count, bad.error.as_str()), (4, "lost: {}"));
    assert_eq!((bad.last_run.as_str(), bad.number), ("u2", 4));
}

fn ended(uk: &str, owner: &str, status: &str) -> EndedRun {
    EndedRun {
        uk: uk.to_owned(),
        owner: owner.to_owned(),
        status: status.to_owned(),
        started_ms: 0,
        ended_ms: 7,
    }
}

#[test]
fn a_later_good_run_of_another_daemon_mends_an_entry_whatever_its_clock_says() {
    let entry = entry("n", "k");
    entry.ended("u2", "failed", "{}");
    let before = [ended("u2", "me", "failed"), ended("u1", "me", "success")];
    entry.compare(&before);
    assert!(entry.sight().bad.is_some(), "that was before");
    // Its clock is behind by years: the end is at the seventh millisecond.
    let after = [ended("u3", "other", "success"), ended("u2", "me", "failed")];
    entry.compare(&after);
    assert_eq!(entry.sight().bad, None);
    entry.ended("u4", "failed", "{}");
    entry.compare(&[ended("u90", "other", "failed")]);
    assert!(entry.sight().bad.is_some());
    entry.compare(&[ended("u91", "other", "success")]);
    assert_eq!(entry.sight().bad, None, "its own row is older than those");
}

#[test]
fn bad_runs_of_earlier_daemons_are_inherited_until_a_good_one() {
    let inherited = |runs: &[EndedRun]| {
        let entry = entry("n", "k");
        entry.inherit(runs, "me");
        entry.sight().bad
    };
    let runs = [
        ended("u6", "me", "success"),
        ended("u5", "old", "skipped"),
        ended("u4", "old", "timeout"),
        ended("u3", "old", "failed"),
        ended("u2", "old", "success"),
        ended("u1", "old", "failed"),
    ];
    let bad = inherited(&runs).unwrap();
    assert_eq!((bad.count, bad.last_run.as_str()), (2, "u4"));
    assert_eq!(bad.error, "timeout, before this daemon started");
    assert!(bad.are_inherited);
    assert_eq!(inherited(&runs[4..]), None);
    assert_eq!(inherited(&[ended("u1", "me", "failed")]), None);
    // A bad run that this daemon sees before it knows of those goes on with them; alone it is new.
    let here = |uk: &str, runs: &[EndedRun]| {
        let entry = entry("n", "k");
        entry.ended(uk, "lost", "{}");
        entry.inherit(runs, "me");
        let bad = entry.sight().bad.unwrap();
        (bad.count, bad.error, bad.are_inherited)
    };
    assert_eq!(here("u7", &runs), (1, "lost: {}".to_owned(), true));
    assert_eq!(here("u7", &runs[4..]), (1, "lost: {}".to_owned(), false));
    let of_it = [ended("u7", "old", "lost"), ended("u2", "old", "success")];
    assert_eq!(here("u7", &of_it), (1, "lost: {}".to_owned(), false));
    // The good run of this daemon mends it as soon as the rows are compared.
    let other = self::entry("n", "k");
    other.inherit(&runs, "me");
    other.compare(&runs);
    assert_eq!(other.sight().bad, None);
}

#[test]
fn a_run_that_was_killed_to_make_room_is_not_inherited() {
    let killed = [ended("u1", "old", "killed")];
    let plain = entry("n", "k");
    plain.inherit(&killed, "me");
    assert!(plain.sight().bad.is_some());
    let replacing = CronState::new(CronFacts {
        replaces: true,
        ..CronFacts::clone(&plain.facts())
    });
    replacing.inherit(&killed, "me");
    assert_eq!(replacing.sight().bad, None);
}

#[test]
fn every_run_is_counted_however_many_there_are() {
    let entry = entry("n", "k");
    // A hundred and fifty of former daemons, the youngest first.
    for n in (0..150).rev() {
        entry.attached(&format!("u{n}"), 1000 + n, 7);
    }
    let view = entry.view();
    assert_eq!((view.running_count, view.running.len()), (150, 100));
    assert_eq!(view.running[0].id, "u0", "the oldest first");
    // One that is not listed ends, and its time is known all the same.
    entry.ended("u149", "success", "{}");
    let view = entry.view();
    assert_eq!((view.running_count, view.duration.count()), (149, 1));
}

#[test]
fn a_point_of_the_history_is_what_changed_since_the_one_before() {
    let queue = queue_state();
    let state = State::new(
        identity(),
        vec![Arc::clone(&queue)],
        vec![entry("n", "k")],
        DelayState::new(),
    );
    let tally = queue.join();
    let completed = |completed| Settlements {
        completed,
        ..Settlements::default()
    };
    queue.settled(completed(10));
    tally.handled(Duration::from_secs(20), 10);
    queue.lag_checked(Some(7), false);
    state.sample(10_000);
    state.sample(20_000);
    queue.settled(completed(1));
    tally.failed(FailureCause::Panic);
    state.sample(30_000);
    let history = state.queue_history("q").unwrap();
    assert_eq!(history.last_ms, Some(30_000));
    let series = history.series;
    assert_eq!(series.done, [10, 0, 1]);
    assert_eq!(series.failed, [0, 0, 1]);
    assert_eq!(series.lag, [Some(7); 3]);
    assert_eq!(series.handler_seconds, [Some(2.0), None, None]);
    assert!(state.queue_history("other").is_none());
    assert_eq!(state.cron_history("k").unwrap().series.done.len(), 3);
    assert_eq!(state.cron_history("n").unwrap().series.done.len(), 3);
    assert_eq!(state.delay_history().series.done, [0, 0, 0]);
}

#[test]
fn entries_that_a_reload_leaves_keep_their_hour_and_new_ones_begin_one() {
    let (stays, goes) = (queue_state(), entry("goes", "g"));
    let state = State::new(
        identity(),
        vec![Arc::clone(&stays)],
        vec![goes, entry("n", "k")],
        DelayState::new(),
    );
    let stays_too = state.cron_entry("k").unwrap();
    let came = QueueState::new(QueueFacts {
        name: "came".to_owned(),
        ..QueueFacts::clone(&stays.facts())
    });
    stays.lag_checked(Some(7), false);
    state.sample(10_000);
    state.replace(
        vec![came, Arc::clone(&stays)],
        vec![stays_too, entry("came", "c")],
    );
    state.sample(20_000);
    let points = |history: Option<HistoryView>| history.unwrap().series.lag;
    assert_eq!(points(state.queue_history("q")), [Some(7); 2]);
    assert_eq!(points(state.queue_history("came")), [None]);
    assert_eq!(points(state.cron_history("k")).len(), 2);
    assert_eq!(points(state.cron_history("c")).len(), 1);
    assert!(state.cron_history("g").is_none());
}

#[test]
fn the_history_is_an_hour_long() {
    let state = State::new(
        identity(),
        vec![queue_state()],
        Vec::new(),
        DelayState::new(),
    );
    (0..400).for_each(|n| state.sample(n * 10_000));
    assert_eq!(state.queue_history("q").unwrap().series.done.len(), 360);
}

#[test]
fn an_outage_is_listed_until_its_mark_goes() {
    let what = "a server of this test";
    let listed = || outages().list().into_iter().find(|o| o.what == what);
    let mark = outages().begin(&Away::Part, what, 5, "refused");
    mark.set_cause("wrong password");
    let outage = listed().unwrap();
    assert_eq!((outage.since_ms, &*outage.cause), (5, "wrong password"));
    drop(mark);
    assert_eq!(listed(), None);
}
