//! Cron expressions against an oracle made with robfig/cron v1.2.0 itself.
//!
//! `oracle/fires.tsv` holds an expression, a zone, a start and the next fires, or `never`;
//! `oracle/refused.txt` one refused expression a line, as a JSON string; `oracle/clock-changes.tsv`
//! the next fires over changes of the clock, where Vixie cron and not robfig/cron is the model.

#![expect(clippy::expect_used, reason = "a test ends with its first surprise")]

use std::fmt::Write;

use chrono::DateTime;
use chrono_tz::Tz;
use simplest_script::cron::Schedule;

const FIRES: &str = include_str!("oracle/fires.tsv");
const REFUSED: &str = include_str!("oracle/refused.txt");
const CLOCK_CHANGES: &str = include_str!("oracle/clock-changes.tsv");

/// Every line of an oracle whose fires are not ours, in words; and how many lines it has.
fn differences(oracle: &str) -> (usize, String) {
    let mut report = String::new();
    let mut lines = 0;
    for line in oracle.lines() {
        lines += 1;
        let [expression, zone, start, fires] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not four columns: {line}");
        };
        let zone: Tz = zone.parse().expect(line);
        let start = DateTime::parse_from_rfc3339(start).expect(line);
        let schedule: Schedule = match expression.parse() {
            Ok(schedule) => schedule,
            Err(error) => {
                writeln!(report, "`{expression}` is refused: {error}").expect("a String");
                continue;
            }
        };
        let mut at = start.with_timezone(&zone);
        for fire in fires.split_whitespace() {
            let next = schedule.next_after(&at);
            let shown = match &next {
                Some(next) => next.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                None => "never".to_owned(),
            };
            let shown = shown.replace("+00:00", "Z");
            if shown != fire.replace("+00:00", "Z") {
                writeln!(
                    report,
                    "`{expression}` {zone} after {at}: {shown}, not {fire}"
                )
                .expect("a String");
            }
            let Some(next) = next else { break };
            at = next;
        }
    }
    (lines, report)
}

#[test]
fn fires_when_robfig_cron_fires() {
    let (lines, report) = differences(FIRES);
    assert_eq!(report, "");
    assert_eq!(lines, 400);
}

#[test]
fn clock_changes_are_taken_as_vixie_cron_takes_them() {
    let (lines, report) = differences(CLOCK_CHANGES);
    assert_eq!(report, "");
    assert_eq!(lines, 10);
}

#[test]
fn what_robfig_cron_refuses_is_refused_at_a_place_inside_it() {
    let mut refused = 0;
    for line in REFUSED.lines() {
        let expression: String = serde_json::from_str(line).expect(line);
        let error = expression.parse::<Schedule>().expect_err(line);
        assert!(
            expression.is_char_boundary(error.offset()),
            "{line}: {}",
            error.offset()
        );
        assert!(error.to_string().contains("write"), "{line}: {error}");
        refused += 1;
    }
    assert_eq!(refused, 22);
}
