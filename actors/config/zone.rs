//! The zone in which a cron entry's times are meant.

use std::path::Path;

use chrono_tz::Tz;

use super::{interpolate::Lookup, show, suggest};

/// Reads an IANA name.
pub(super) fn parse(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let right = match meant(name) {
            Some(zone) => format!("did you mean {}?", show::name(zone)),
            None => "an IANA name such as `Asia/Shanghai` would be right".to_owned(),
        };
        format!("{} is no time zone; {right}", show::name(name))
    })
}

/// The zone that was meant: in another case, by its city alone, or with a slip.
///
/// Of abbreviations and offsets none is near: `CST` is not `CET`, and `Etc/GMT+8` is sixteen hours from `GMT+8`.
fn meant(name: &str) -> Option<&'static str> {
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let is_its_city = |zone: &str| {
        let city = zone.rsplit_once('/').filter(|(area, _)| *area != "Etc");
        city.is_some_and(|(_, city)| city.eq_ignore_ascii_case(name))
    };
    known()
        .find(|zone| zone.eq_ignore_ascii_case(name))
        .or_else(|| known().find(|zone| is_its_city(zone)))
        .or_else(|| suggest::nearest(name, known()).filter(|_| name.contains('/')))
}

/// The machine's own zone, as Go finds it: `TZ`, else what `/etc/localtime` is, else UTC.
pub(super) fn of_machine(environment: Lookup<'_>) -> Result<Tz, String> {
    if let Some(value) = environment("TZ") {
        return named_by_tz(&value);
    }
    match iana_time_zone::get_timezone() {
        Ok(name) => name
            .parse()
            .map_err(|_| unknown(&format!("it is called {}", show::name(&name)))),
        Err(_) if !Path::new("/etc/localtime").exists() => Ok(Tz::UTC),
        Err(_) => Err(unknown("`/etc/localtime` does not say its name")),
    }
}

fn named_by_tz(value: &str) -> Result<Tz, String> {
    // A colon before the name is allowed by POSIX; an empty value means UTC.
    match value.strip_prefix(':').unwrap_or(value) {
        "" => Ok(Tz::UTC),
        name => name
            .parse()
            .map_err(|_| unknown(&format!("`TZ` is {}", show::name(value)))),
    }
}

fn unknown(why: &str) -> String {
    format!(
        "the machine's time zone has no IANA name ({why}); write `timezone`, such as `Asia/Shanghai`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_iana_names() {
        assert_eq!(parse("Asia/Shanghai"), Ok(Tz::Asia__Shanghai));
        for (name, end) in [
            ("Asia/Shangai", "; did you mean `Asia/Shanghai`?"),
            ("europe/berlin", "; did you mean `Europe/Berlin`?"),
            ("shanghai", "; did you mean `Asia/Shanghai`?"),
            ("utc", "; did you mean `UTC`?"),
            ("UTC+8", "would be right"),
            ("GMT+8", "would be right"),
            ("CST", "would be right"),
            ("", "would be right"),
        ] {
            let message = parse(name).unwrap_err();
            assert!(message.ends_with(end), "{message}");
        }
    }

    #[test]
    fn tz_names_the_machines_zone() {
        for (value, zone) in [
            ("Asia/Shanghai", Tz::Asia__Shanghai),
            (":Europe/Berlin", Tz::Europe__Berlin),
            ("", Tz::UTC),
        ] {
            assert_eq!(
                of_machine(&|name| (name == "TZ").then(|| value.to_owned())),
                Ok(zone)
            );
        }
        let message = of_machine(&|_| Some("CST-8".to_owned())).unwrap_err();
        assert!(message.contains("`TZ` is `CST-8`"), "{message}");
    }
}
