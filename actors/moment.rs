//! A time as a person writes it.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone};

/// What `moment` reads, for people.
pub(crate) const FORMS: &str = "`2026-01-31`, `2026-01-31 08:30`, RFC 3339";

/// Unix milliseconds of a date, of a date and a time on this machine's clock, or of a time as RFC 3339 has it. None: it is
/// none of these.
///
/// # Errors
///
/// When the clock is put forward over this time.
pub(crate) fn moment(text: &str) -> Option<Result<i64, String>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Ok(time.timestamp_millis()));
    }
    let time = local(text)?;
    // What occurs twice, as the clock is put back, is meant the first time.
    let found = Local.from_local_datetime(&time).earliest();
    let found = found.ok_or_else(|| "the clock is put forward over this time".to_owned());
    Some(found.map(|time| time.timestamp_millis()))
}

fn local(text: &str) -> Option<NaiveDateTime> {
    let formats = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let time = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
    formats.iter().find_map(time).or_else(|| {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(day.and_time(NaiveTime::MIN))
    })
}

/// On this machine's clock, to the second, with its distance from UTC.
pub(crate) fn shown(unix_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    let time = time.with_timezone(&Local);
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// On this machine's clock, to the second, for the lines of a list.
pub(crate) fn shown_in_line(unix_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    let time = time.with_timezone(&Local);
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}
