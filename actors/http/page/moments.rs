//! A time that a person typed into a filter.

use chrono::{
    DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc,
};

use crate::clock::millis;
use crate::config::parse_duration;
use crate::moment::{FORMS, moment};

/// Minutes from the farthest west to the farthest east of all zones.
const MOST_ZONE: i32 = 14 * 60;

/// The zone of the browser in minutes east of UTC, as `page.js` fills it in; that of the daemon without.
fn zone(minutes: Option<&str>) -> FixedOffset {
    offset(minutes).unwrap_or_else(|| Local::now().offset().fix())
}

/// Minutes east of UTC, as a browser sends them; none where it sends nothing that is a zone.
pub(super) fn offset(minutes: Option<&str>) -> Option<FixedOffset> {
    let minutes: i32 = minutes?.parse().ok()?;
    match (-MOST_ZONE..=MOST_ZONE).contains(&minutes) {
        true => FixedOffset::east_opt(minutes * 60),
        false => None,
    }
}

/// Within a sentence: whole, in the reader's zone.
pub(super) fn shown(ms: i64, minutes: Option<&str>) -> String {
    written(ms, minutes, "%Y-%m-%d %H:%M:%S")
}

/// As a field of a form has a moment.
pub(super) fn as_field(ms: i64, minutes: Option<&str>) -> String {
    written(ms, minutes, "%Y-%m-%dT%H:%M")
}

fn written(ms: i64, minutes: Option<&str>, form: &str) -> String {
    let Some(at) = DateTime::<Utc>::from_timestamp_millis(ms) else {
        return ms.to_string();
    };
    match offset(minutes) {
        Some(offset) => at.with_timezone(&offset).format(form).to_string(),
        None => at.with_timezone(&Local).format(form).to_string(),
    }
}

/// Unix milliseconds of a duration ago (`90m`, `2d`), of a time of this day (`12:00`), or of a date and a time.
///
/// # Errors
///
/// When it is none of these: with what it may be.
pub(super) fn then(text: &str, minutes: Option<&str>, now_ms: i64) -> Result<i64, String> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now_ms.saturating_sub(millis(ago)));
    }
    let zone = zone(minutes);
    if let Some(time) = local(text, zone, now_ms) {
        let found = zone.from_local_datetime(&time).single();
        return found.map(|at| at.timestamp_millis()).ok_or_else(wrong);
    }
    moment(text).unwrap_or_else(|| Err(wrong()))
}

/// What is understood, for people: an example of each.
fn wrong() -> String {
    format!("`90m`, `2d`, `12:00`, {FORMS}")
}

fn local(text: &str, zone: FixedOffset, now_ms: i64) -> Option<NaiveDateTime> {
    let formats = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let full = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
    let day = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .map(|day| day.and_time(NaiveTime::MIN))
    };
    let clock = || {
        let time = NaiveTime::parse_from_str(text, "%H:%M:%S");
        let time = time
            .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"))
            .ok()?;
        let today = Utc
            .timestamp_millis_opt(now_ms)
            .single()?
            .with_timezone(&zone);
        Some(today.date_naive().and_time(time))
    };
    formats.iter().find_map(full).or_else(day).or_else(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_browsers_zone() {
        // 2026-01-31 02:30 UTC is 10:30 in Shanghai.
        let now = 1_769_826_600_000;
        let hour = 3_600_000;
        for (text, zone, expected) in [
            ("90m", None, now - 3 * hour / 2),
            ("09:30", Some("480"), now - hour),
            ("09:30:01", Some("480"), now - hour + 1000),
            ("2026-01-31 09:30", Some("480"), now - hour),
            ("2026-01-31", Some("0"), now - 5 * hour / 2),
            ("2026-01-30T21:30", Some("-300"), now),
            ("2026-01-31T03:30:00+01:00", Some("480"), now),
        ] {
            assert_eq!(then(text, zone, now), Ok(expected), "{text}");
        }
        assert_eq!(shown(now, Some("480")), "2026-01-31 10:30:00");
        assert_eq!(as_field(now, Some("0")), "2026-01-31T02:30");
        for wrong in ["", "noon", "25:00", "2026-13-01", "-2h", "<script>"] {
            assert!(
                then(wrong, Some("99999"), now)
                    .unwrap_err()
                    .contains("RFC 3339"),
                "{wrong}"
            );
        }
    }
}
