//! Fixed times of day on a clock that is changed now and then.
//!
//! croner treats only single numbers as fixed times, and gives up on gaps above two hours; ours
//! are lists too, and Samoa once skipped a whole day. So it is asked for wall clock times, and the
//! instant of each is found here.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use croner::Cron;

/// The longest piece that a zone has ever cut out of its clock: a calendar day, when it changed
/// to the other side of the date line.
const LONGEST_GAP_SECONDS: i64 = 24 * 60 * 60;

/// The first instant after `after` that stands for one of the wall clock times of `cron`.
pub(super) fn next_fixed<Tz: TimeZone>(cron: &Cron, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
    let zone = after.timezone();
    let mut wall = after.naive_local();
    // Goes round again only for what was due in the first pass over a repeated hour, and for
    // days that do not exist.
    loop {
        wall = cron.find_next_occurrence(&wall, false).ok()?;
        let instant = zone.from_local_datetime(&wall).earliest();
        match instant.or_else(|| end_of_gap(&zone, wall)) {
            Some(instant) if instant > *after => return Some(instant),
            _ => {}
        }
    }
}

/// The first instant after the gap that holds `wall`; `None` where its whole day is missing.
fn end_of_gap<Tz: TimeZone>(zone: &Tz, wall: NaiveDateTime) -> Option<DateTime<Tz>> {
    let at = |seconds: i64| {
        let later = wall.checked_add_signed(TimeDelta::seconds(seconds))?;
        zone.from_local_datetime(&later).earliest()
    };
    // Halving: the clock shows `shown` seconds later, and not yet `missing` seconds later.
    let (mut missing, mut shown) = (0, LONGEST_GAP_SECONDS);
    while shown - missing > 1 {
        let middle = missing + (shown - missing) / 2;
        if at(middle).is_some() {
            shown = middle;
        } else {
            missing = middle;
        }
    }
    let end = at(shown)?;
    let midnight = wall.date().and_time(NaiveTime::MIN);
    let day_begins = zone.from_local_datetime(&midnight).earliest().is_some();
    let day_goes_on = end.naive_local().date() == wall.date();
    (day_begins || day_goes_on).then_some(end)
}
