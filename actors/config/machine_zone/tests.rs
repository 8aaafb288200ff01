use super::*;

/// 2026-11-28.
const NOW: i64 = 1_795_824_000;

fn named(zone: Tz) -> impl Fn(i64) -> i32 {
    move |second| offset_at(&zone, second)
}

fn found(claimed: Option<Tz>, clock: Offsets<'_>) -> Result<MachineZone, String> {
    identify("it is called so", claimed, clock, NOW)
}

#[test]
fn a_name_that_is_true_is_kept() {
    for zone in [
        Tz::Asia__Shanghai,
        Tz::PRC,
        Tz::Europe__Berlin,
        Tz::UTC,
        Tz::Etc__UTC,
    ] {
        assert_eq!(found(Some(zone), &named(zone)), Ok(plain(zone)));
        assert_eq!(
            alike(&named(zone), NOW).map(|zone| offset_at(&zone, NOW)),
            Some(offset_at(&zone, NOW))
        );
    }
}

#[test]
fn the_clock_decides_where_its_name_says_something_else() {
    for (claimed, shown) in [
        (Some(Tz::Etc__UTC), Tz::Asia__Shanghai),
        (Some(Tz::Europe__Berlin), Tz::UTC),
        (None, Tz::America__New_York),
        // The same dates, another hour of the night.
        (Some(Tz::America__New_York), Tz::America__Havana),
        // The same now, not always.
        (Some(Tz::UTC), Tz::Asia__Singapore),
    ] {
        let MachineZone { zone, note } = found(claimed, &named(shown)).unwrap();
        assert!(
            is_like(zone, &named(shown), HISTORIES[0], NOW + COMING),
            "{zone} for {shown}"
        );
        let note = note.unwrap();
        assert!(
            note.contains(&format!("its clock shows `{zone}`")),
            "{note}"
        );
    }
}

/// Each of them has shown the same as another one for decades.
const CITIES: [Tz; 9] = [
    Tz::Europe__Berlin,
    Tz::Europe__Paris,
    Tz::Europe__London,
    Tz::America__New_York,
    Tz::America__Los_Angeles,
    Tz::America__Sao_Paulo,
    Tz::Asia__Tokyo,
    Tz::Asia__Singapore,
    Tz::Australia__Sydney,
];

#[test]
fn a_clock_without_a_name_is_the_zone_of_its_city() {
    for city in CITIES {
        let MachineZone { zone, .. } = found(None, &named(city)).unwrap();
        assert_eq!(zone, canonical(city));
    }
}

/// Packagers give some zones another history before 1970 than the compiled-in data have.
#[test]
fn what_clocks_showed_before_1970_may_differ() {
    for city in CITIES {
        let clock = |second: i64| named(city)(second) + i32::from(second < 0);
        let MachineZone { zone, .. } = found(None, &clock).unwrap();
        assert!(
            is_like(zone, &named(city), 0, NOW + COMING),
            "{zone} for {city}"
        );
    }
}

#[test]
fn only_an_unknown_machine_zone_is_a_fault() {
    // Whoever has these files still changes the clock there.
    let stale = |second: i64| match (second - NOW) / (100 * DAY) {
        3 | 4 => -5 * 3600,
        _ => -6 * 3600,
    };
    let MachineZone { zone, note } = found(Some(Tz::America__Mexico_City), &stale).unwrap();
    assert_eq!(zone, Tz::America__Mexico_City);
    assert!(note.unwrap().contains(IANA_TZDB_VERSION));
    let message = found(Some(Tz::Asia__Shanghai), &|_| 17 * 60).unwrap_err();
    assert!(message.contains("write `timezone`"), "{message}");
}

#[test]
fn an_unknown_tz_is_refused_and_empty_is_utc() {
    // Names of zones are tried in a process of its own (`tests/daemon/zone.rs`): the clock of this one goes by its own `TZ`.
    for value in ["", ":"] {
        assert_eq!(of_machine(&|_| Some(value.to_owned())), Ok(plain(Tz::UTC)));
    }
    for value in ["CST-8", "/no/such/zoneinfo/Asia/Shanghai", ":/etc"] {
        let message = of_machine(&|_| Some(value.to_owned())).unwrap_err();
        assert!(message.contains(&format!("`TZ` is `{value}`")), "{message}");
    }
}

#[test]
fn a_path_names_the_zone_whose_file_it_is() {
    for (path, zone) in [
        (
            "/usr/share/zoneinfo/Asia/Shanghai",
            Some(Tz::Asia__Shanghai),
        ),
        (
            "/usr/share/zoneinfo/posix/Europe/Berlin",
            Some(Tz::Europe__Berlin),
        ),
        ("/usr/share/zoneinfo/localtime", None),
        ("/srv/zone", None),
    ] {
        assert_eq!(of_path(path), zone, "{path}");
    }
}

#[test]
fn the_documents_name_the_zone_data_that_is_compiled_in() {
    let document = include_str!("../../../docs/en/configuration.md");
    let sentence = format!("version {IANA_TZDB_VERSION} of the IANA time zone database");
    assert!(
        document.contains(&sentence),
        "configuration.md lacks `{sentence}`"
    );
}
