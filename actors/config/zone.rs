//! The zone in which a cron entry's times are meant.

use chrono_tz::Tz;

use crate::jsonc::{quote, suggest};

/// Reads an IANA name.
pub(super) fn parse(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let right = match meant(name) {
            Some(zone) => format!("did you mean {}?", quote::name(zone)),
            None => "an IANA name such as `Asia/Shanghai` would be right".to_owned(),
        };
        format!("{} is no time zone; {right}", quote::name(name))
    })
}

/// All IANA names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// The zone that was meant: in another case, by its city alone, or with a slip.
///
/// Of abbreviations and offsets none is near: `CST` is not `CET`, and `Etc/GMT+8` is sixteen hours from `GMT+8`.
fn meant(name: &str) -> Option<&'static str> {
    let is_its_city = |zone: &str| {
        let city = zone.rsplit_once('/').filter(|(area, _)| *area != "Etc");
        city.is_some_and(|(_, city)| city.eq_ignore_ascii_case(name))
    };
    names()
        .find(|zone| zone.eq_ignore_ascii_case(name))
        .or_else(|| names().find(|zone| is_its_city(zone)))
        .or_else(|| suggest::nearest(name, names()).filter(|_| name.contains('/')))
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
}
