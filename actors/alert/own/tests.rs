//! The rules together: what each of them sees, reports and hides.

use super::events::Reported;
use super::rules::all;
use super::sight::Sight;
use super::*;
use crate::config::AlertRules;
use crate::state::view::{Away, OutageView};
use crate::state::{BadEnds, CronSight, DeadLetterGroup, DelaySight, LagSight, Misses, PartDeaths};
use crate::task::points::arm;

pub(super) fn entry(name: &str, key: &str) -> CronSight {
    CronSight {
        name: name.to_owned(),
        key: key.to_owned(),
        bad: None,
        misses: Misses::default(),
    }
}

pub(super) fn bad(count: u64) -> BadEnds {
    BadEnds {
        count,
        first_ms: 5,
        last_ms: 9,
        error: "failed: {}".to_owned(),
        last_run: "u".to_owned(),
        number: count,
        are_inherited: false,
    }
}

/// Where all is wrong that can be.
fn all_wrong(n: u64) -> Sight {
    let entry = CronSight {
        bad: Some(bad(n)),
        misses: Misses {
            count: n,
            last_ms: 0,
        },
        ..entry("c", "1")
    };
    Sight {
        now_ms: 100_000,
        lags: vec![LagSight {
            queue: "q".to_owned(),
            lag: Some(n + 10),
            lag_is_capped: false,
            read_ms: Some(100_000),
            unread_since_ms: None,
            limit: 1,
            present: 1,
            ceiling: 1,
            behind_since_ms: Some(0),
            behind_checks: n + 2,
            since_first_check: false,
        }],
        dead_letters: vec![DeadLetterGroup {
            entry: "queue `q`".to_owned(),
            kind: "e".to_owned(),
            count: n,
            error: format!("e{n}"),
            last_ms: 0,
        }],
        cron: vec![entry],
        outages: vec![OutageView {
            away: Away::Server("the database".to_owned()),
            what: "the database".to_owned(),
            since_ms: 0,
            cause: format!("cause {n}"),
        }],
        delay: Some(DelaySight {
            waiting: n,
            oldest_due_ms: Some(0),
            counted_ms: 100_000,
            running: 1,
        }),
        deaths: vec![PartDeaths {
            part: "CronActor".to_owned(),
            at_ms: vec![0; 3 + usize::try_from(n).unwrap()],
        }],
        disks: vec![super::probe::DiskSight {
            path: "data".to_owned(),
            facts: Some(super::probe::DiskFacts {
                free_bytes: n,
                total_bytes: 1_000_000,
                is_read_only: false,
                device: 1,
            }),
            silent_seconds: 0,
            failure: None,
        }],
    }
}

/// Rules that found something, with their first lines and their texts.
fn lines(sight: &Sight) -> Vec<(Rule, String, String)> {
    let found = all(&AlertRules::default(), sight, &Reported::default());
    let lines = found.into_iter().flat_map(|found| {
        let conditions = found.findings.conditions.into_iter();
        conditions.map(move |one| (found.rule, one.summary, one.text))
    });
    lines.collect()
}

#[test]
fn each_rule_keeps_its_first_line() {
    let (one, other) = (lines(&all_wrong(1)), lines(&all_wrong(2)));
    let rules: Vec<Rule> = one.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(rules, Rule::ALL, "each rule fires");
    for ((rule, first, text), (_, later, changed)) in one.iter().zip(&other) {
        assert_eq!(first, later, "{rule:?}");
        assert!(!first.is_empty() && !first.contains('\n'), "{first}");
        // The free bytes are shown in megabytes.
        if *rule != Rule::Disk {
            assert_ne!(text, changed, "{rule:?}");
        }
    }
}

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    assert_eq!(lines(&Sight::default()), []);
}

#[test]
fn a_rule_that_is_off_finds_nothing_and_the_others_do() {
    let rules = AlertRules {
        lag: None,
        disk: None,
        ..AlertRules::default()
    };
    let found = all(&rules, &all_wrong(1), &Reported::default());
    let on: Vec<&str> = found.iter().map(|found| found.rule.name()).collect();
    let wanted = [
        "dead_letters",
        "cron_runs",
        "misfires",
        "outages",
        "late_tasks",
        "restarts",
    ];
    assert_eq!(on, wanted);
}

#[test]
fn a_rule_that_panics_leaves_the_others_alone() {
    // No other test reads that moment.
    let sight = Sight {
        now_ms: 100_007,
        ..all_wrong(1)
    };
    arm("alert rule", "outages at 100007");
    let found = all(&AlertRules::default(), &sight, &Reported::default());
    for found in found {
        let is_broken = found.rule == Rule::Outages;
        assert_eq!(found.panic.is_some(), is_broken, "{found:?}");
        assert_eq!(found.findings.unknown.covers("x"), is_broken, "{found:?}");
        assert_eq!(found.findings.conditions.is_empty(), is_broken);
    }
}

#[test]
fn the_names_of_the_rules_are_those_of_the_settings() {
    for rule in Rule::ALL {
        let text = format!("{{\"{}\": false}}", rule.name());
        let read = crate::config::alert_rules_of(&text);
        let found = all(&read, &Sight::default(), &Reported::default());
        assert_eq!(found.len(), Rule::ALL.len() - 1);
        assert!(found.iter().all(|found| found.rule != rule), "{rule:?}");
    }
}
