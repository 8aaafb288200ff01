//! Crontab entries: what they take, and every refusal with its place.

use super::*;
use crate::config::Commands;
use crate::jsonc::testing;

fn read_all(text: &str) -> (Vec<CronEntry>, Vec<String>, Vec<String>) {
    let commands = Commands {
        cron: ["crontab_track".to_owned()].into(),
        ..Commands::default()
    };
    let mut reading = Reading {
        environment: Environment::Release,
        commands: &commands,
        lookup: &testing::environment,
        servers: None,
        machine_zone: Some(Ok(Tz::Asia__Shanghai)),
        notes: Vec::new(),
    };
    let (entries, faults) = testing::reading(text, |root| read(root, &mut reading));
    (entries.unwrap_or_default(), faults, reading.notes)
}

/// One entry with these keys beside the required ones, in which `cron` may be another.
fn entry(cron: &str, keys: &str) -> String {
    format!(
        r#"[{{"cron": "{cron}", "name": "a", "exec_cmd": "crontab_track", "status": 4{keys}}}]"#
    )
}

#[test]
fn the_go_projects_file_is_read_as_it_is() {
    let (entries, faults, notes) = read_all(
        r#"[
    {
        "cron": "0 * * * * *",     // 执行配置 秒 分钟 小时 日 月 周
        "name": "测试定时任务",  // 名称
        "exec_cmd": "crontab_track",  // 命令  在internal/handler文件夹内
        "params": "{\"name\":\"测试\"}",  // 参数
        "status": 4,  // 位运算 1: dev 2: test 4: release
        "is_log": 0  // 是否记录日志 1: 记录 0: 不记录
    },
    {"cron": "0 * * * * *", "name": "延时队列", "exec_cmd": "delay_queue", "status": 7, "is_log": 1},
]"#,
    );
    assert_eq!(faults, [""; 0]);
    let track = &entries[0];
    assert_eq!(track.params, "{\"name\":\"测试\"}");
    assert_eq!(
        (track.live, track.is_log, track.timezone),
        (true, false, Tz::Asia__Shanghai)
    );
    assert_eq!(
        (track.overlap, track.misfire, track.timeout),
        (Overlap::Allow, Misfire::Skip, None)
    );
    assert!(!track.drives_delay_queue && entries[1].drives_delay_queue);
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("`延时队列`: `delay_queue` does nothing here"),
        "{notes:?}"
    );
}

#[test]
fn our_keys_are_read() {
    let keys = r#", "timezone": "Europe/Berlin", "overlap": "replace", "misfire": {"catch_up": 3}, "timeout": "1h", "is_log": 1"#;
    let (entries, faults, _) = read_all(&entry("@every 90s", keys));
    assert_eq!(faults, [""; 0]);
    let entry = &entries[0];
    assert_eq!(entry.timezone, Tz::Europe__Berlin);
    assert_eq!((entry.overlap, entry.is_log), (Overlap::Replace, true));
    assert_eq!(
        entry.misfire,
        Misfire::CatchUp(NonZeroU32::MIN.saturating_add(2))
    );
    assert_eq!(entry.timeout, Some(Duration::from_secs(3_600)));
}

#[test]
fn identical_entries_are_numbered_and_mentioned() {
    let one = |name: &str, params: &str, status: u8| {
        format!(
            r#"{{"cron": "0 * * * * *", "name": "{name}", "exec_cmd": "crontab_track", "params": "{params}", "status": {status}}}"#
        )
    };
    let all = [
        one("a", "x", 4),
        one("b", "x", 0),
        one("c", "y", 4),
        one("d", "x", 4),
    ];
    let (entries, faults, notes) = read_all(&format!("[{}]", all.join(",")));
    assert_eq!(faults, [""; 0]);
    let ordinals: Vec<u32> = entries.iter().map(|entry| entry.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 0, 2]);
    assert_eq!(notes, ["`a`, `d` are identical, and each of them fires"]);
}

#[test]
fn a_bad_expression_is_reported_at_its_character() {
    for (cron, place) in [
        (
            "0 0 0 31 2 *",
            "f:1:11: `[0].cron`: `0 0 0 31 2 *` never fires",
        ),
        ("* * * * *", "f:1:12: `[0].cron`: five fields"),
        ("0 61 * * * *", "f:1:14: `[0].cron`: "),
        ("0 */0 * * * *", "f:1:"),
        ("", "f:1:12: `[0].cron`: the expression is empty"),
    ] {
        let found = read_all(&entry(cron, "")).1;
        assert!(
            found.len() == 1 && found[0].starts_with(place),
            "{cron}: {found:?}"
        );
    }
}

#[test]
fn bad_values_are_refused() {
    let long = format!(r#", "is_log": 1, "params": "{}""#, "测".repeat(501));
    for (keys, wanted) in [
        (
            r#", "timezone": "Asia/Shangai""#,
            "did you mean `Asia/Shanghai`?",
        ),
        (r#", "timezone": 8"#, "wanted a string, found 8"),
        (
            r#", "is_log": 2"#,
            "wanted 1 for a row of each run in `crontab_log`, or 0, found 2",
        ),
        (
            r#", "overlap": "never""#,
            "wanted one of `allow`, `forbid`, `replace`, found \"never\"",
        ),
        (
            r#", "misfire": "run""#,
            "wanted `skip`, `coalesce` or `{\"catch_up\": n}`, found \"run\"",
        ),
        (
            r#", "misfire": 3"#,
            "wanted `skip`, `coalesce` or `{\"catch_up\": n}`, found 3",
        ),
        (
            r#", "misfire": {"catch_up": 0}"#,
            "wanted a whole number from 1 to 1000, found 0",
        ),
        (
            r#", "misfire": {}"#,
            "`catch_up` is missing: how many missed fires are run, 1 or more",
        ),
        (
            r#", "params": {}"#,
            "wanted a string (JSON stands in it as `\"{\\\"a\\\": 1}\"`), found an object `{…}`",
        ),
        (
            r#", "params": "a\u0000""#,
            "a NUL character, which no database or command line can hold",
        ),
        (&long, "wanted at most 500 characters, found 501"),
        (
            r#", "timeout": -1"#,
            "wanted a duration (it may not be negative), found -1",
        ),
    ] {
        let found = read_all(&entry("0 * * * * *", keys)).1;
        assert!(
            found.len() == 1 && found[0].ends_with(wanted),
            "{keys}: {found:?}"
        );
    }
    let unlogged = format!(r#", "params": "{}""#, "测".repeat(501));
    assert_eq!(read_all(&entry("0 * * * * *", &unlogged)).1, [""; 0]);
}

#[test]
fn an_unknown_command_is_a_fault_where_it_is_live() {
    let text = entry("0 * * * * *", "").replace("crontab_track", "crontab_trak");
    let found = read_all(&text).1;
    assert!(
        found[0]
            .ends_with("no cron job `crontab_trak` is registered; did you mean `crontab_track`?")
    );
    let (entries, faults, notes) = read_all(&text.replace("\"status\": 4", "\"status\": 1"));
    assert_eq!((entries.len(), faults.len(), notes.len()), (1, 0, 1));
}

#[test]
fn entries_without_a_zone_need_the_machines() {
    let commands = Commands::default();
    let mut reading = Reading {
        environment: Environment::Dev,
        commands: &commands,
        lookup: &|name| (name == "TZ").then(|| "CST-8".to_owned()),
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let text = entry("0 * * * * *", "");
    let found = testing::faults(&text, |root| read(root, &mut reading));
    assert!(
        found.len() == 1 && found[0].contains("`TZ` is `CST-8`"),
        "{found:?}"
    );
}
