//! Which names mean one time zone: `PRC` and `Asia/Shanghai`, `UTC` and `Etc/UTC`.
//!
//! chrono-tz has a value for each name, and does not say which of them the time zone database links to each other. What
//! identifies a cron entry must not depend on the name that a machine or a file happens to use.

mod links;

use chrono_tz::Tz;

use self::links::LINKS;

/// The name that the time zone database links all others of the zone to; the zone itself where it is no link.
pub(crate) fn canonical(zone: Tz) -> Tz {
    let link = LINKS.iter().find(|(name, _)| *name == zone);
    link.map_or(zone, |(_, target)| *target)
}

/// The other names of the zone that has this canonical one.
pub(crate) fn links_to(canonical: Tz) -> impl Iterator<Item = Tz> {
    let links = LINKS.iter().filter(move |(_, target)| *target == canonical);
    links.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests;
