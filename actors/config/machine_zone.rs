//! The machine's own time zone: the one that its clock shows, whatever it is called.
//!
//! A machine names its zone (`TZ`, the link `/etc/localtime`, `/etc/timezone`), and its clock goes by the bytes of a file.
//! The two differ where a zone file was mounted or copied over `/etc/localtime`, as is common in containers. The clock
//! decides: `date`, the logs and the Go program show that one. Its behaviour is compared with the compiled-in zones,
//! because only they have names that a cron entry can be known by.

use std::path::Path;

use chrono::{DateTime, Local, Offset, TimeZone};
use chrono_tz::{IANA_TZDB_VERSION, Tz};

use super::zone_names::canonical;
use crate::clock::now_ms;
use crate::jsonc::interpolate::Lookup;
use crate::jsonc::quote;

const LOCALTIME: &str = "/etc/localtime";
/// Where zone files are, by the name of their zone; the same places as the clock's.
const ZONE_FILES: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// A zone is compared from this long ago on: misfires of a daemon that was down reach back into it.
const RECENT: i64 = 31 * DAY;
/// Until this far ahead. Zone data of two versions differ beyond any bound, and a daemon is restarted more often.
const COMING: i64 = 2 * 366 * DAY;
/// Among zones that behave alike now, the one is meant that always did: since clocks had zones at all; since 1970, before
/// which packagers of zone files differ; or for forty years.
const HISTORIES: [i64; 3] = [-2_840_140_800, 0, 489_024_000];

/// A clock changes at most once in this time: the shortest summer times (Morocco's pause for Ramadan) last a month.
const STEP: i64 = 7 * DAY;

/// The zone of cron entries without `timezone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MachineZone {
    pub(super) zone: Tz,
    /// What a person should know about it.
    pub(super) note: Option<String>,
}

/// Seconds east of UTC that a clock shows at that unix second.
type Offsets<'a> = &'a dyn Fn(i64) -> i32;

/// Finds it as Go and `localtime` do: `TZ`, else `/etc/localtime`, else UTC.
///
/// # Errors
///
/// No compiled-in zone behaves as the clock does.
pub(super) fn of_machine(environment: Lookup<'_>) -> Result<MachineZone, String> {
    let now = now_ms() / 1000;
    match environment("TZ") {
        Some(value) => by_tz(&value, now),
        None => by_localtime("the machine's time zone", now),
    }
}

fn by_tz(value: &str, now: i64) -> Result<MachineZone, String> {
    let claim_text = format!("`TZ` is {}", quote::name(value));
    // A colon before the name is allowed by POSIX; an empty value means UTC.
    let name = value.strip_prefix(':').unwrap_or(value);
    if name.is_empty() {
        return Ok(plain(Tz::UTC));
    }
    if name == LOCALTIME {
        return by_localtime(&claim_text, now);
    }
    let claimed = match name.starts_with('/') {
        true => of_path(name),
        false => name.parse().ok(),
    };
    let is_file = match name.starts_with('/') {
        true => Path::new(name).is_file(),
        false => ZONE_FILES
            .iter()
            .any(|dir| Path::new(dir).join(name).is_file()),
    };
    match (claimed, is_file) {
        (_, true) => identify(&claim_text, claimed, &shown_by_clock, now),
        // A container without zone files. The order is clear, and the zone is compiled in.
        (Some(zone), false) if !name.starts_with('/') => Ok(MachineZone {
            note: (!is_like(zone, &|_| 0, now - RECENT, now + COMING)).then(|| {
                format!(
                    "{claim_text}, of which this machine has no zone file, so its clock shows UTC; cron entries without \
                     `timezone` fire by {}",
                    quote::name(zone.name())
                )
            }),
            zone,
        }),
        _ => Err(unknown(&claim_text)),
    }
}

fn by_localtime(claim_text: &str, now: i64) -> Result<MachineZone, String> {
    let name = iana_time_zone::get_timezone().ok();
    let claimed = name.as_deref().and_then(|name| name.parse().ok());
    let claim_text = match name {
        Some(name) => format!("{claim_text} is called {}", quote::name(&name)),
        None => format!("{claim_text} has no name"),
    };
    if Path::new(LOCALTIME).exists() {
        identify(&claim_text, claimed, &shown_by_clock, now)
    } else {
        // Without the file the clock shows UTC, whatever `/etc/timezone` holds.
        identify(&claim_text, claimed.or(Some(Tz::UTC)), &|_| 0, now)
    }
}

/// The zone whose file this is, by its path.
fn of_path(path: &str) -> Option<Tz> {
    let (_, name) = path.rsplit_once("/zoneinfo/")?;
    name.strip_prefix("posix/").unwrap_or(name).parse().ok()
}

/// `TZ` and `/etc/localtime` as chrono reads them, which is what the logs and `create_time` go by.
fn shown_by_clock(second: i64) -> i32 {
    offset_at(&Local, second)
}

fn offset_at(zone: &impl TimeZone, second: i64) -> i32 {
    let utc = DateTime::from_timestamp(second, 0).unwrap_or_default();
    let offset = zone.offset_from_utc_datetime(&utc.naive_utc());
    offset.fix().local_minus_utc()
}

fn plain(zone: Tz) -> MachineZone {
    MachineZone { zone, note: None }
}

/// Which zone a clock shows whose zone is claimed to be `claimed`.
fn identify(
    claim_text: &str,
    claimed: Option<Tz>,
    clock: Offsets<'_>,
    now: i64,
) -> Result<MachineZone, String> {
    let (from, until) = (now - RECENT, now + COMING);
    if let Some(zone) = claimed.filter(|zone| is_like(*zone, clock, from, until)) {
        return Ok(plain(zone));
    }
    if let Some(zone) = alike(clock, now) {
        let note = format!(
            "{claim_text}, and its clock shows {0}: cron entries without `timezone` fire by {0}",
            quote::name(zone.name())
        );
        return Ok(MachineZone {
            zone,
            note: Some(note),
        });
    }
    // Older or newer zone data than ours: no zone of ours will do what this clock does.
    let today = claimed.filter(|zone| is_like(*zone, clock, now, now + DAY));
    let zone = today.ok_or_else(|| unknown(claim_text))?;
    let note = format!(
        "{claim_text}, and its zone files and the compiled-in zone data {IANA_TZDB_VERSION} differ within two years: cron \
         entries without `timezone` fire by the latter"
    );
    Ok(MachineZone {
        zone,
        note: Some(note),
    })
}

/// A zone that behaves like the clock; the one that always did, if there is one. By its canonical name: `PRC` would be
/// right, and surprise people in Shanghai. Berlin, Ceuta and Tunis's neighbours have shown the same for decades: two daemons
/// of which one knows the name and the other the bytes must not take them for two zones.
fn alike(clock: Offsets<'_>, now: i64) -> Option<Tz> {
    let (from, until) = (now - RECENT, now + COMING);
    let names = [Tz::UTC].into_iter().chain(chrono_tz::TZ_VARIANTS);
    let names = names.filter(|zone| *zone == Tz::UTC || canonical(*zone) == *zone);
    let now_alike: Vec<Tz> = names
        .filter(|zone| is_like(*zone, clock, from, until))
        .collect();
    let always = |since: i64| {
        let mut alike = now_alike.iter().copied();
        alike.find(|zone| is_like(*zone, clock, since, from))
    };
    let found = HISTORIES.into_iter().find_map(always);
    found.or(now_alike.first().copied())
}

/// Whether both show the same: once a step, and up to and from each second at which the clock changes.
fn is_like(zone: Tz, clock: Offsets<'_>, from: i64, until: i64) -> bool {
    let same = |second: i64| clock(second) == offset_at(&zone, second);
    let mut at = from;
    while at < until {
        let next = at + STEP;
        if !same(at) || (clock(at) != clock(next) && !changes_alike(clock, &same, at, next)) {
            return false;
        }
        at = next;
    }
    true
}

/// Finds the second at which the clock changes, and compares before and after it.
fn changes_alike(clock: Offsets<'_>, same: &dyn Fn(i64) -> bool, from: i64, until: i64) -> bool {
    let (mut before, mut after) = (from, until);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        match clock(middle) == clock(from) {
            true => before = middle,
            false => after = middle,
        }
    }
    same(before) && same(after)
}

fn unknown(why: &str) -> String {
    format!(
        "the machine's time zone has no IANA name ({why}); write `timezone`, such as `Asia/Shanghai`"
    )
}

#[cfg(test)]
mod tests;
