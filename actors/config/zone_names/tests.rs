//! The table against the files that chrono-tz is made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::*;

/// Where cargo has the source of chrono-tz, with the files of its database.
fn database() -> PathBuf {
    let rustc = output_of(Command::new("rustc").arg("-vV"));
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    // Packages of other platforms may not be there, and offline nothing is fetched.
    let args = [
        "metadata",
        "--format-version=1",
        "--offline",
        "--locked",
        "--filter-platform",
    ];
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = output_of(Command::new(cargo).args(args).arg(host.unwrap()));
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == "chrono-tz");
    let manifest = Path::new(package.unwrap()["manifest_path"].as_str().unwrap());
    manifest.with_file_name("tz")
}

fn output_of(command: &mut Command) -> String {
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `Link TARGET NAME` of all files.
fn links_of_the_database() -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    for file in fs::read_dir(database()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut words = line.split_whitespace();
            if let (Some("Link"), Some(target), Some(name)) =
                (words.next(), words.next(), words.next())
            {
                links.insert(name.to_owned(), target.to_owned());
            }
        }
    }
    links
}

#[test]
fn the_table_holds_the_links_of_the_database() {
    let links = links_of_the_database();
    assert!(links.len() > 200, "no database found");
    let target = |name: &str| {
        let mut name = name;
        while let Some(target) = links.get(name) {
            name = target;
        }
        name.parse::<Tz>().unwrap()
    };
    for zone in TZ_VARIANTS {
        let (found, expected) = (canonical(zone), target(zone.name()));
        assert_eq!(
            found, expected,
            "{zone} is linked to {expected}: correct `links.rs`"
        );
    }
    assert_eq!(LINKS.len(), links.len());
}

/// What is one zone here has one clock, so that entries that are taken for one fire at the same moments.
#[test]
fn linked_names_show_the_same_time() {
    const WEEK_S: usize = 7 * 24 * 3600;
    let end = 2_147_483_647;
    for (name, target) in LINKS {
        for at in (0..end).step_by(WEEK_S) {
            let at: DateTime<Utc> = DateTime::from_timestamp(at, 0).unwrap();
            let offset = |zone: Tz| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
            assert_eq!(offset(name), offset(target), "{name} and {target} at {at}");
        }
    }
}

#[test]
fn names_of_one_zone_have_one_canonical_name() {
    for (names, expected) in [
        (&["UTC", "Etc/UTC", "Zulu", "Etc/Universal"][..], "Etc/UTC"),
        (
            &["PRC", "Asia/Shanghai", "Asia/Chongqing"][..],
            "Asia/Shanghai",
        ),
        (&["GMT", "Etc/GMT", "Etc/Greenwich"][..], "Etc/GMT"),
    ] {
        for name in names {
            let zone = canonical(name.parse().unwrap());
            assert_eq!(zone.name(), expected, "{name}");
            let linked = links_to(zone).any(|link| link.name() == *name);
            assert_eq!(linked, *name != expected, "{name}");
        }
    }
    assert_ne!(
        canonical(Tz::UTC),
        canonical(Tz::GMT),
        "another name for people"
    );
}
