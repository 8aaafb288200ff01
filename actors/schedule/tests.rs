//! What the expressions mean, one fact each; the oracle is in the integration tests.

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, Utc};
use chrono_tz::Tz;

use super::Schedule;

/// No search may take longer, even on a machine that is busy with other things.
const BOUNDED: Duration = Duration::from_secs(5);

fn read(expression: &str) -> Schedule {
    expression.parse().unwrap()
}

fn next(expression: &str, after: &str) -> Option<String> {
    let after = DateTime::parse_from_rfc3339(after).unwrap();
    Some(read(expression).next_after(&after)?.to_rfc3339())
}

#[test]
fn impossible_dates_are_known_at_once() {
    let began = Instant::now();
    // robfig/cron gives up after five years; the date exists.
    let sunday = next("0 0 0 29 2 */8", "2024-03-01T00:00:00+00:00");
    assert_eq!(sunday.as_deref(), Some("2032-02-29T00:00:00+00:00"));
    let over_2100 = next("0 0 0 29/9 2 ?", "2096-03-01T00:00:00+00:00");
    assert_eq!(over_2100.as_deref(), Some("2104-02-29T00:00:00+00:00"));
    for never in [
        "0 0 0 31 2 *",
        "0 0 0 30,31 feb ?",
        "* * * 31 2,4,6,9,11 */2",
    ] {
        assert_eq!(next(never, "2026-01-01T00:00:00+00:00"), None, "{never}");
    }
    assert!(began.elapsed() < BOUNDED);
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for expression in ["* * * * * *", "0 0 0 1 1 *", "@every 1s", "@every 2562047h"] {
        let schedule = read(expression);
        schedule.next_after(&DateTime::<Utc>::MIN_UTC);
        schedule.next_after(&DateTime::<Utc>::MAX_UTC);
        for hours in [-14, 14] {
            let offset = FixedOffset::east_opt(hours * 3600).unwrap();
            schedule.next_after(&DateTime::<Utc>::MIN_UTC.with_timezone(&offset));
            schedule.next_after(&DateTime::<Utc>::MAX_UTC.with_timezone(&offset));
        }
    }
}

#[test]
fn every_counts_whole_seconds_from_the_second_it_is_given() {
    for (expression, seconds) in [
        ("@every 90s", 90),
        ("@every 1h30m", 5400),
        ("@every 1.5h", 5400),
        ("@every 500ms", 1),
        ("@every 2999ms", 2),
        ("@every 0", 1),
        ("@every +.5m", 30),
        ("@every 1000000µs1000000μs1000000us", 3),
    ] {
        assert_eq!(
            read(expression).every(),
            Some(Duration::from_secs(seconds)),
            "{expression}"
        );
    }
    assert_eq!(read("@hourly").every(), None);
    let at = next("@every 90s", "2026-01-01T00:00:00.9+01:00");
    assert_eq!(at.as_deref(), Some("2026-01-01T00:01:30+01:00"));
}

#[test]
fn a_refused_expression_names_field_and_place() {
    for (expression, offset, part) in [
        ("", 0, "six fields"),
        ("*/5 * * * *", 0, "`*/5 * * * * *`"),
        ("*/5 * * * *", 0, "`0 */5 * * * *`"),
        ("0 0 0 1 1 * 2026", 12, "`2026`"),
        (
            "TZ=Asia/Tokyo 0 0 0 * * *",
            0,
            "`\"timezone\": \"Asia/Tokyo\"`",
        ),
        (
            "60 * * * * *",
            0,
            "`60` in the second field is out of range; write 0 to 59",
        ),
        ("0 */0 * * * *", 4, "the minute field"),
        ("0 0 0 * * 7", 10, "Sunday is 0"),
        ("0 0 0 * * fri-mon", 10, "`fri-6,0-mon`"),
        ("0 0 0 15W * *", 8, "extension"),
        ("0 0 0 L * *", 6, "extension"),
        ("0 0 0 * * 5#2", 11, "extension"),
        ("0 0 0 * * +5", 10, "day-of-week"),
        ("0 0 , * * *", 4, "holds no value"),
        ("@Daily", 0, "`@daily`"),
        ("@every 5", 7, "`5s`"),
        ("@every -5s", 7, "negative"),
        ("@every 2d", 8, "`24h`"),
        ("@every 1h 5m", 9, "without spaces"),
        ("@every 9999999999h", 7, "too long"),
    ] {
        let error = expression.parse::<Schedule>().unwrap_err();
        assert_eq!(error.offset(), offset, "{expression}: {error}");
        assert!(error.to_string().contains(part), "{expression}: {error}");
    }
}

/// The fires in New York after `after`, by the hours and minutes its clock shows.
fn in_new_york(expression: &str, after: &str, count: usize) -> String {
    let zone: Tz = "America/New_York".parse().unwrap();
    let mut at = DateTime::parse_from_rfc3339(after)
        .unwrap()
        .with_timezone(&zone);
    let mut shown = Vec::new();
    for _ in 0..count {
        at = read(expression).next_after(&at).unwrap();
        shown.push(at.format("%d %H:%M %Z").to_string());
    }
    shown.join(", ")
}

#[test]
fn a_list_of_times_keeps_each_of_them_over_a_gap() {
    let fires = in_new_york("0 0 2,5 * * *", "2026-03-07T12:00:00-05:00", 3);
    assert_eq!(fires, "08 03:00 EDT, 08 05:00 EDT, 09 02:00 EDT");
    // Both of its times are the first instant after the gap: one fire.
    let fires = in_new_york("0 0 2,3 * * *", "2026-03-07T12:00:00-05:00", 2);
    assert_eq!(fires, "08 03:00 EDT, 09 02:00 EDT");
}

#[test]
fn a_list_of_times_fires_once_in_a_repeated_hour() {
    let fires = in_new_york("0 30 1,5 * * *", "2026-10-31T12:00:00-04:00", 3);
    assert_eq!(fires, "01 01:30 EDT, 01 05:30 EST, 02 01:30 EST");
}

#[test]
fn one_value_ranges_follow_the_shown_clock() {
    for expression in [
        "0 30 1-1 * * *",
        "0 30/40 1 * * *",
        "0 30 1-1/1 * * *",
        "0-0 30 1,1 * * *",
    ] {
        let twice = in_new_york(expression, "2026-10-31T12:00:00-04:00", 3);
        assert_eq!(
            twice, "01 01:30 EDT, 01 01:30 EST, 02 01:30 EST",
            "{expression}"
        );
    }
    let skipped = in_new_york("0 30 2-2 * * *", "2026-03-07T12:00:00-05:00", 1);
    assert_eq!(skipped, "09 02:30 EDT");
}

#[test]
fn a_star_in_a_list_needs_both_day_fields() {
    // The 13th that is a Friday; without a star, each 13th and each Friday.
    let start = "2026-01-01T00:00:00+00:00";
    let both = next("0 0 0 13 * */5", start);
    assert_eq!(both.as_deref(), Some("2026-02-13T00:00:00+00:00"));
    let listed = next("0 0 0 1,* * 5", start);
    assert_eq!(listed.as_deref(), Some("2026-01-02T00:00:00+00:00"));
    let either = next("0 0 0 13 * 5", start);
    assert_eq!(either.as_deref(), Some("2026-01-02T00:00:00+00:00"));
}

#[test]
fn a_schedule_is_shown_as_it_was_written() {
    let schedule = read("0  0 12 ? * MON-fri ");
    assert_eq!(schedule.to_string(), "0  0 12 ? * MON-fri ");
    assert!(format!("{schedule:?}").len() < 200, "{schedule:?}");
}
