//! `check`: exit status, text, JSON, and what it finds online.

use std::net::TcpListener;

use serde_json::Value;

use crate::world::World;

const TABLE: &str = r#"[{"name": "demo", "exec_cmd": "demo_greet", "table": "demo", "progress": 2, "max_progress": 10,
    "progress_lag_limit": 5000, "progress_avg_msgcount": 1000, "status": 1, "timeout": "30s"},
    {"name": "later", "exec_cmd": "kafka_test", "topic": "t", "group_id": "g", "progress": 1,
    "progress_lag_limit": 1, "progress_avg_msgcount": 1, "status": 4}]"#;
const CRON: &str = r#"[{"cron": "0 30 2 * * *", "timezone": "Asia/Shanghai", "name": "night", "exec_cmd": "crontab_track", "status": 1}]"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_entry_says_whether_it_is_live_what_it_may_grow_to_and_when_it_fires() {
    let world = World::with_etc("{}", TABLE, CRON);
    let said = world.run(&["check"]).good().out;
    for part in [
        "all is well: environment dev, partition script1",
        "queue `demo`: live, table `demo`, consumer `demo_greet`",
        "at most 10 from a lag of 8000 on",
        "5 attempts, each at most 30s; about 1s, 2s, 4s, 8s between them",
        "02:30:00 CST = ",
        "18:30:00 UTC",
        "`later`: status 4 is release; this is dev",
        "1 of 2 queues and 1 of 1 cron entries are live",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert_eq!(said.matches("    next 2").count(), 3, "{said}");
    assert_eq!(world.files(), ["etc"]);
}

#[test]
fn json_is_one_document_with_the_same_facts() {
    let world = World::with_etc("{}", TABLE, CRON);
    let said = json(&world.run(&["check", "--json"]).good().out);
    assert_eq!(said["ok"], true);
    assert_eq!(said["format"], 1);
    assert_eq!(said["queues"][0]["pool"]["full_from_lag"], 8000);
    assert_eq!(said["queues"][1]["live"], false);
    assert_eq!(said["queues"][1]["source"]["kind"], "kafka");
    assert_eq!(said["crontab"][0]["next"].as_array().unwrap().len(), 3);
    assert!(
        said["crontab"][0]["next"][0]["utc"]
            .as_str()
            .unwrap()
            .ends_with("T18:30:00Z")
    );
    assert!(
        said["crontab"][0]["next"][0]["local"]
            .as_str()
            .unwrap()
            .ends_with("T02:30:00+08:00")
    );
    assert_eq!(said["online"], Value::Null);
}

#[test]
fn faults_come_as_json_too() {
    let world = World::with_etc("{\"workrs\": 1}", "[]", "[]");
    let ended = world.run(&["check", "--json"]);
    assert_eq!(ended.code, 2);
    let said = json(&ended.out);
    assert_eq!(said["ok"], false);
    assert_eq!(said["faults"][0]["place"]["line"], 1);
    assert_eq!(said["faults"][0]["file"], "etc/dev.json");
    assert!(ended.err.contains("did you mean `workers`?"), "{ended:?}");
}

#[test]
fn online_looks_at_the_tables_and_leaves_unused_defaults_alone() {
    let world = World::with_etc("{}", TABLE, "[]");
    let said = json(&world.run(&["check", "--online", "--json"]).good().out);
    let online = said["online"].as_array().unwrap();
    assert_eq!(online.len(), 1, "{online:?}");
    assert!(
        !online[0]["pending_migrations"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(world.files(), ["etc"], "looking makes nothing");

    world.run(&["send", "demo", "Ann", "Bob"]).good();
    let said = json(&world.run(&["check", "--online", "--json"]).good().out);
    let own = &said["online"][0];
    assert_eq!(own["pending_migrations"], Value::Array(Vec::new()));
    assert_eq!(own["queues"][0]["waiting"], 2);
    let tables = own["tables"].as_array().unwrap();
    let messages = tables
        .iter()
        .find(|table| table["name"] == "queue_message")
        .unwrap();
    assert_eq!(messages["rows"], 2);
    let said = world.run(&["check", "--online"]).good().out;
    assert!(said.contains("no migrations pending"), "{said}");
    assert!(
        said.contains("queue `demo`, `demo`: 2 messages waiting"),
        "{said}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_named_and_ends_with_1() {
    // Bound and let go: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let settings = format!(
        r#"{{"redis": {{"cache": {{"url": "redis://:hunter2@127.0.0.1:{port}/0"}}}},
            "kafka": {{"default": {{"brokers": "127.0.0.1:{port}"}}, "here": {{"brokers": "mock://1"}}}},
            "databases": {{"shop": {{"url": "mysql://u:hunter2@127.0.0.1:{port}/a"}},
                           "pg": {{"url": "postgres://u:hunter2@127.0.0.1:{port}/a"}},
                           "file": {{"url": "sqlite://nowhere.db"}}}}}}"#
    );
    let world = World::with_etc(&settings, "[]", "[]");
    let ended = world.run(&["check", "--online"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    for server in [
        "redis `cache`",
        "kafka `default`",
        "database `shop`",
        "database `pg`",
        "database `file`",
    ] {
        let line = ended
            .out
            .lines()
            .find(|line| line.starts_with(server))
            .unwrap();
        assert!(line.contains("NOT REACHED"), "{line}");
    }
    assert!(
        ended.out.contains("no broker answered within 5 s"),
        "{ended:?}"
    );
    assert!(
        ended.out.contains("kafka `here` (mock://1): reached"),
        "{ended:?}"
    );
    assert!(!ended.out.contains("hunter2"), "{ended:?}");
    assert_eq!(world.files(), ["etc"]);
}

#[test]
fn a_program_that_may_come_later_is_a_note() {
    for (program, noted) in [
        ("./later", true),
        ("no-such-program", true),
        ("sh", false),
        ("/bin/sh", false),
    ] {
        let settings = format!(r#"{{"cron_command": "{program}", "http": null}}"#);
        let said = World::with_etc(&settings, "[]", CRON)
            .run(&["check"])
            .good()
            .out;
        let note = format!("`cron_command`: there is no file `{program}` yet");
        assert_eq!(said.contains(&note), noted, "{said}");
    }
}

#[test]
fn the_entry_that_does_nothing_here_is_not_counted_as_live() {
    let crontab =
        r#"[{"cron": "0 * * * * *", "name": "go", "exec_cmd": "delay_queue", "status": 15}]"#;
    let said = World::with_etc("{}", TABLE, crontab)
        .run(&["check"])
        .good()
        .out;
    assert!(said.contains("cron `go`: not needed"), "{said}");
    assert!(
        said.contains("1 of 2 queues and 0 of 1 cron entries are live"),
        "{said}"
    );
}
