//! The ends of cron runs, of this daemon and of earlier ones.

use super::*;
use crate::state::EndedRun;

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
fn another_daemons_good_run_mends_an_entry() {
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
fn a_replaced_run_is_not_inherited_as_bad() {
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
