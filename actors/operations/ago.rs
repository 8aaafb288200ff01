//! A time in the past as a person writes it.

use crate::clock::{millis, now_ms};
use crate::config::parse_duration;
use crate::moment::{FORMS, moment};

/// Unix milliseconds of a time as [`moment`] reads it, or of a duration ago.
pub(crate) fn moment_or_ago(text: &str) -> Result<i64, String> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now_ms().saturating_sub(millis(ago)));
    }
    moment(text).unwrap_or_else(|| {
        Err(format!(
            "neither a duration (`90m`, `2d`) nor a time ({FORMS})"
        ))
    })
}
