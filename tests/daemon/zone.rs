//! The machine's zone is the one that its clock shows, whatever it is called.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::World;

const SHANGHAI: &str = "/usr/share/zoneinfo/Asia/Shanghai";

fn world() -> World {
    let world = World::new(json!({}));
    let entry =
        json!([{ "cron": "0 0 9 * * *", "name": "report", "exec_cmd": "ledger", "status": 1 }]);
    world.partition("script1", &json!([]), &entry);
    world
}

/// The zone of the entry, and what `check` notes.
fn checked(world: &World, wrapper: &[&str], tz: Option<&str>) -> (String, String) {
    let program = crate::world::ledger_program();
    let words = [wrapper, &[program.to_str().unwrap(), "check", "--json"]].concat();
    let mut command = world.command_of(Path::new(words[0]), &words[1..]);
    match tz {
        Some(tz) => command.env("TZ", tz),
        None => command.env_remove("TZ"),
    };
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let zone = report["crontab"][0]["timezone"]
        .as_str()
        .unwrap()
        .to_owned();
    (zone, report["notes"].to_string())
}

#[test]
fn tz_is_a_name_or_a_path_as_in_go() {
    if !Path::new(SHANGHAI).exists() {
        println!("LEFT OUT: there is no {SHANGHAI} here");
        return;
    }
    let world = world();
    for tz in [
        "Asia/Shanghai",
        ":Asia/Shanghai",
        SHANGHAI,
        &format!(":{SHANGHAI}"),
    ] {
        let (zone, notes) = checked(&world, &[], Some(tz));
        assert_eq!(
            (zone.as_str(), notes.as_str()),
            ("Asia/Shanghai", "[]"),
            "{tz}"
        );
    }
    // A copy shows nothing by its name, and all by its bytes.
    let copy = world.path("zone");
    fs::copy(SHANGHAI, &copy).unwrap();
    let (zone, notes) = checked(&world, &[], Some(copy.to_str().unwrap()));
    assert_eq!(zone, "Asia/Shanghai");
    assert!(notes.contains("its clock shows `Asia/Shanghai`"), "{notes}");
    let (zone, _) = checked(&world, &[], Some(":/etc/localtime"));
    assert_eq!(zone, checked(&world, &[], None).0);
}

#[test]
fn a_zone_file_mounted_over_localtime_decides() {
    let world = world();
    let mount = format!("mount --bind {SHANGHAI} \"$(readlink -f /etc/localtime)\"");
    let wrapper = ["unshare", "--mount", "sh", "-c"];
    if !world.can(&[&wrapper[..], &[&mount]].concat()) {
        return;
    }
    let script = format!("{mount} && exec \"$@\"");
    let (zone, notes) = checked(&world, &[&wrapper[..], &[&script, "sh"]].concat(), None);
    assert_eq!(zone, "Asia/Shanghai");
    assert!(notes.contains("its clock shows `Asia/Shanghai`"), "{notes}");
}
