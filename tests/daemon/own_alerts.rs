//! The daemon's own alerts, as a receiver gets them.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::{Engine, OwnServer};
use crate::servers::recorder::{Behaviour, Received, Recorder};
use crate::servers::redis::Redis;
use crate::wait::{PATIENCE, now_s, wait_until};
use crate::world::World;

/// One alert that a receiver got.
#[derive(Debug, Clone)]
struct Alert {
    kind: String,
    rule: String,
    subject: String,
    summary: String,
    details: Vec<String>,
    partition: String,
}

/// A receiver of plain JSON.
struct Receiver(Recorder);

impl Receiver {
    fn start() -> Self {
        Self(Recorder::answering(Behaviour::ok("")))
    }

    fn webhook(&self) -> Value {
        json!({ "url": self.0.url("/alerts"), "kind": "json", "environments": ["dev"] })
    }

    fn settings(&self, rules: Value) -> Value {
        json!({ "webhooks": [self.webhook()], "rules": rules })
    }

    /// All alerts so far, in their order.
    fn alerts(&self) -> Vec<Alert> {
        alerts_of(&self.0.received())
    }

    #[track_caller]
    fn wait(&self, kind: &str, rule: &str) -> Alert {
        self.wait_for(kind, |alert| alert.rule == rule)
    }

    #[track_caller]
    fn wait_for(&self, kind: &str, of_interest: impl Fn(&Alert) -> bool) -> Alert {
        let mut found = None;
        wait_until(&format!("an alert that is {kind}"), PATIENCE, || {
            let mut alerts = self.alerts().into_iter();
            found = alerts.find(|alert| alert.kind == kind && of_interest(alert));
            found.is_some()
        });
        found.unwrap()
    }
}

fn alerts_of(received: &[Received]) -> Vec<Alert> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = received.iter().flat_map(|message| {
        let body = message.json();
        let partition = text(&body["origin"]["partition"]);
        assert!(
            body["origin"]["host"]
                .as_str()
                .is_some_and(|host| !host.is_empty())
        );
        let alerts = body["alerts"].as_array().unwrap().clone();
        alerts.into_iter().map(move |alert| Alert {
            kind: text(&alert["kind"]),
            rule: text(&alert["rule"]),
            subject: text(&alert["subject"]),
            summary: text(&alert["summary"]),
            details: alert["details"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect(),
            partition: partition.clone(),
        })
    });
    each.collect()
}

/// The number in an alert of dead letters.
fn dead_letters_said(alert: &Alert) -> u64 {
    let Some(first) = alert.details.first() else {
        return 0;
    };
    let (number, rest) = first.split_once(' ').unwrap();
    assert!(rest.ends_with(" since the last word"), "{alert:?}");
    number.parse().unwrap()
}

/// A queue of its table's name, whose messages are tried once.
fn queue(name: &str, exec_cmd: &str, lag_limit: u64) -> Value {
    json!({
        "name": name, "exec_cmd": exec_cmd, "table": name, "progress": 1, "max_attempts": 1,
        "progress_lag_limit": lag_limit, "progress_avg_msgcount": 1, "status": 1,
    })
}

#[test]
fn a_lag_at_full_size_fires_after_two_checks_and_is_resolved() {
    let receiver = Receiver::start();
    let world = World::new(json!({
        "lag_check_interval": "1s", "consumer_lease": "3s", "alert": receiver.settings(json!({})),
    }));
    world.partition("script1", &json!([queue("slow", "ledger", 2)]), &json!([]));
    world.migrate();
    world.send("slow", &["sleep:20000:first".to_owned()]);
    let bodies: Vec<String> = (0..5).map(|n| n.to_string()).collect();
    world.send("slow", &bodies);
    let daemon = world.start();
    let firing = receiver.wait("firing", "lag");
    assert_eq!(
        (firing.subject.as_str(), firing.summary.as_str()),
        ("slow", "queue `slow`: its lag is above 2 at full size")
    );
    assert!(
        firing.details[0].contains("is above 2 at full size, 1 of 1 consumers"),
        "{firing:?}"
    );
    let resolved = receiver.wait("resolved", "lag");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
}

#[test]
fn dead_letters_are_grouped_by_queue_and_error_and_resolved_in_the_end() {
    let receiver = Receiver::start();
    let rules = json!({ "dead_letters": { "resolve_after_seconds": 10 } });
    let world = World::new(json!({
        "alert": receiver.settings(rules),
        "delayed": { "ledger": { "max_attempts": 1 } },
    }));
    let queues = json!([queue("one", "ledger", 1000), queue("two", "ledger", 1000)]);
    world.partition("script1", &queues, &json!([]));
    let mut database = world.migrate();
    world.send(
        "one",
        &[
            "fail:a".to_owned(),
            "fail:b".to_owned(),
            "panic:c".to_owned(),
        ],
    );
    world.send("two", &["fail:d".to_owned()]);
    world.insert_tasks(&[("fail:e".to_owned(), 1)]);
    let daemon = world.start();
    for (subject, dead_letters) in [
        ("queue one", 3),
        ("queue two", 1),
        ("delayed task ledger", 1),
    ] {
        let firing = receiver.wait_for("firing", |alert| alert.subject == subject);
        assert_eq!(firing.rule, "dead_letters");
        assert!(firing.details[1].contains("`dead list`"), "{firing:?}");
        let resolved = receiver.wait_for("resolved", |alert| alert.subject == subject);
        assert_eq!(resolved.summary, firing.summary);
        // A poll may come in between the dead letters of one queue: then the end reports the others.
        let mut all = receiver.alerts();
        all.retain(|alert| alert.subject == subject);
        assert_eq!(
            all.iter().map(dead_letters_said).sum::<u64>(),
            dead_letters,
            "{all:?}"
        );
    }
    assert_eq!(database.number("SELECT count(*) FROM dead_letter"), 5);
    daemon.stop();
}

#[test]
fn dead_letters_right_before_a_stop_are_reported_by_the_stop() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    world.partition(
        "script1",
        &json!([queue("work", "ledger", 1000)]),
        &json!([]),
    );
    let mut database = world.migrate();
    let daemon = world.start();
    // No poll comes between the dead letter and the stop, unless by chance.
    world.send("work", &["sleep:300:x".to_owned(), "fail:last".to_owned()]);
    wait_until("the dead letter", PATIENCE, || {
        database.number("SELECT count(*) FROM dead_letter") == 1
    });
    daemon.stop();
    let firing = receiver.wait("firing", "dead_letters");
    assert_eq!(firing.details[0], "1 dead letter since the last word");
    let of_dead_letters = receiver.alerts();
    assert!(
        of_dead_letters.iter().all(|alert| alert.kind == "firing"),
        "{of_dead_letters:?}"
    );
}

#[test]
fn a_message_that_ends_the_process_reaches_the_rule() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    world.partition(
        "script1",
        &json!([queue("work", "ledger", 1000)]),
        &json!([]),
    );
    world.migrate();
    world.send("work", &["abort:x".to_owned()]);
    let mut first = world.spawn(&["run"]);
    wait_until("its death", PATIENCE, || first.has_ended().is_some());
    let daemon = world.start();
    let firing = receiver.wait("firing", "dead_letters");
    assert_eq!(firing.subject, "queue work");
    assert!(
        firing.details.iter().any(|line| line.contains("SIGABRT")),
        "{firing:?}"
    );
    daemon.stop();
}

/// The program of the world's cron runs from now on: one that ends with this code, or the ledger.
fn runs_end_with(world: &World, code: u8) {
    let text = match code {
        0 => format!(
            "#!/bin/sh\nexec {} \"$@\"\n",
            crate::world::ledger_program().display()
        ),
        code => format!("#!/bin/sh\nexit {code}\n"),
    };
    // A whole file takes the place of the other one.
    let (new, path) = (world.path("runs.new"), world.path("runs"));
    std::fs::write(&new, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&new, mode).unwrap();
    std::fs::rename(&new, &path).unwrap();
}

/// A world with an entry that runs each second.
fn with_runs(receiver: &Receiver) -> World {
    let world = World::new(json!({
        "cron_command": "./runs", "alert": receiver.settings(json!({})),
    }));
    let entry = json!({ "cron": "* * * * * *", "name": "report", "exec_cmd": "noop", "status": 1 });
    world.partition("script1", &json!([]), &json!([entry]));
    world
}

#[test]
fn a_failed_run_is_resolved_by_the_next_good_one() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let daemon = world.start();
    let firing = receiver.wait("firing", "cron_runs");
    assert_eq!(firing.subject, "report");
    assert!(firing.details[0].contains("exit status 3"), "{firing:?}");
    runs_end_with(&world, 0);
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
}

#[test]
fn a_failed_run_of_an_earlier_daemon_is_repeated_once_and_resolved_by_a_good_one() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let first = world.start();
    let firing = receiver.wait("firing", "cron_runs");
    first.kill();
    runs_end_with(&world, 0);
    let second = world.start();
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, firing.summary);
    second.stop();
    let mut all = receiver.alerts();
    all.retain(|alert| alert.rule == "cron_runs");
    let kinds: Vec<&str> = all.iter().map(|alert| alert.kind.as_str()).collect();
    let times = |kind| kinds.iter().filter(|one| **one == kind).count();
    assert_eq!((times("firing"), times("repeated")), (1, 1), "{all:?}");
    assert_eq!(kinds.last(), Some(&"resolved"), "{all:?}");
}

#[test]
fn a_failed_run_right_before_a_stop_is_reported_by_the_stop() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let daemon = world.start();
    let mut database = world.database();
    // No poll comes between the run and the stop, unless by chance.
    wait_until("a failed run", PATIENCE, || {
        database.number("SELECT count(*) FROM cron_run WHERE status = 'failed'") >= 1
    });
    daemon.stop();
    let firing = receiver.wait("firing", "cron_runs");
    assert_eq!(firing.subject, "report");
}

#[test]
fn a_failed_run_is_resolved_by_a_good_one_of_another_daemon() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    // This daemon makes no run of its own: not within a year.
    let entry = json!({ "cron": "0 0 0 29 2 *", "name": "report", "exec_cmd": "noop", "status": 1, "timezone": "UTC" });
    world.partition("script1", &json!([]), &json!([entry]));
    world.start().stop();
    let mut database = world.database();
    // What other daemons would leave. The clock of the second one is an hour behind.
    let now_ms = now_s() * 1000;
    let mut run = |second: i64, status: &str| {
        let scheduled_ms = now_ms + second * 1000;
        database.execute(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
             SELECT partition_name, entry, {scheduled_ms}, 'other{second}', name, 'script1/other', 'm', 3, '{status}', {now_ms}, {}
             FROM cron_entry",
            now_ms - (second - 1) * 3_600_000
        ));
    };
    run(1, "failed");
    let daemon = world.start();
    let repeated = receiver.wait("repeated", "cron_runs");
    assert!(
        repeated.details[0].contains("failed, before this daemon started"),
        "{repeated:?}"
    );
    run(2, "success");
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, repeated.summary);
    daemon.stop();
}

#[test]
fn a_redis_server_that_is_away_is_reported_and_so_is_its_return() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let receiver = Receiver::start();
    let rules = json!({ "outages": { "after_seconds": 2 } });
    let world = World::new(json!({
        "redis": { "default": { "url": server.url() } },
        "alert": receiver.settings(rules),
    }));
    let mut entry = queue("work", "ledger", 1000);
    entry.as_object_mut().unwrap().remove("table");
    entry["key"] = json!("work");
    world.partition("script1", &json!([entry]), &json!([]));
    let daemon = world.start();
    server.pause();
    let firing = receiver.wait("firing", "outages");
    assert_eq!(firing.subject, "redis default");
    server.resume();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
}

#[test]
fn a_database_that_is_away_is_reported_without_it() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        if let Some((world, server)) = World::on_own_server(engine, json!({})) {
            database_is_away(&world, &server);
        }
    }
}

fn database_is_away(world: &World, server: &OwnServer) {
    let receiver = Receiver::start();
    let rules = json!({ "outages": { "after_seconds": 2 } });
    world.settings(json!({ "heartbeat_interval": "500ms", "alert": receiver.settings(rules) }));
    let daemon = world.start();
    server.hang(world);
    let firing = receiver.wait("firing", "outages");
    assert!(firing.subject.starts_with("the database "), "{firing:?}");
    assert!(!firing.subject.contains("hunter2"), "{firing:?}");
    server.go_on();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
    // What only waited for it was no alert.
    let subjects: Vec<String> = receiver
        .alerts()
        .into_iter()
        .map(|alert| alert.subject)
        .collect();
    assert!(
        subjects.iter().all(|subject| *subject == firing.subject),
        "{subjects:?}"
    );
}

/// A world whose database is not there, and which reports that to the receiver.
fn without_database(receiver: &Receiver) -> Option<(World, OwnServer)> {
    let (world, server) = World::on_own_server(Engine::MariaDb, json!({}))?;
    let rules = json!({ "outages": { "after_seconds": 1 } });
    world.settings(json!({ "alert": receiver.settings(rules) }));
    server.crash();
    Some((world, server))
}

#[test]
fn a_database_that_is_away_at_the_start_is_reported_and_so_is_its_return() {
    let receiver = Receiver::start();
    let Some((world, server)) = without_database(&receiver) else {
        return;
    };
    let mut daemon = world.spawn(&["--partition", "script1", "run"]);
    let firing = receiver.wait("firing", "outages");
    assert!(firing.subject.starts_with("the database "), "{firing:?}");
    assert_eq!(firing.partition, "script1");
    server.start();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(
        (resolved.subject, resolved.summary),
        (firing.subject, firing.summary)
    );
    daemon.wait_ready();
    daemon.stop();
    assert_eq!(receiver.alerts().len(), 2, "{:?}", receiver.alerts());
}

#[test]
fn a_start_that_is_stopped_before_its_database_came_leaves_no_alert_behind() {
    let receiver = Receiver::start();
    let Some((world, _server)) = without_database(&receiver) else {
        return;
    };
    let mut daemon = world.spawn(&["--partition", "script1", "run"]);
    let firing = receiver.wait("firing", "outages");
    daemon.signal(Signal::TERM);
    daemon.wait_end(PATIENCE);
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.subject, firing.subject);
    assert!(
        resolved.details[0].contains("this daemon stops"),
        "{resolved:?}"
    );
}

#[test]
fn a_rule_that_is_off_says_nothing_while_another_does() {
    let receiver = Receiver::start();
    let rules = json!({
        "dead_letters": false,
        "cron_runs": { "severity": "critical" },
        "disk": { "free_percent": 99, "free_gb": 1_000_000 },
    });
    let world = World::new(json!({ "alert": receiver.settings(rules) }));
    let entry = json!({ "cron": "* * * * * *", "name": "broken", "exec_cmd": "ledger", "params": "fail:x", "status": 1 });
    world.partition(
        "script1",
        &json!([queue("work", "ledger", 1000)]),
        &json!([entry]),
    );
    let mut database = world.migrate();
    world.send("work", &["fail:x".to_owned()]);
    let daemon = world.start();
    wait_until("the dead letter", PATIENCE, || {
        database.number("SELECT count(*) FROM dead_letter") == 1
    });
    receiver.wait("firing", "cron_runs");
    let full = receiver.wait("firing", "disk");
    assert!(full.details[0].ends_with(" are free"), "{full:?}");
    daemon.stop();
    // The stop reports what it leaves behind, and resolves what it cannot see any more.
    let full = receiver.wait("resolved", "disk");
    assert!(full.details[0].contains("this daemon stops"), "{full:?}");
    let rules: Vec<String> = receiver
        .alerts()
        .into_iter()
        .map(|alert| alert.rule)
        .collect();
    assert!(!rules.contains(&"dead_letters".to_owned()), "{rules:?}");
}

#[test]
fn each_daemon_speaks_for_itself_and_one_without_receivers_silences_nobody() {
    let receiver = Receiver::start();
    let rules = json!({ "late_tasks": { "above_seconds": 1 } });
    let world = World::new(json!({ "delay_concurrency": 1 }));
    world.partition("script2", &json!([]), &json!([]));
    world.migrate();
    // The elder one has no receiver.
    let elder = world.start();
    world.settings(json!({ "delay_concurrency": 1, "alert": receiver.settings(rules) }));
    let younger = world.start_as("script2");
    let tasks: Vec<(String, i64)> = (0..400).map(|n| (format!("sleep:1000:{n}"), 1)).collect();
    world.insert_tasks(&tasks);
    let firing = receiver.wait("firing", "late_tasks");
    assert_eq!(firing.partition, "script2");
    elder.kill();
    younger.kill();
}

#[test]
fn an_alertmanager_gets_the_labels_and_the_end() {
    let recorder = Recorder::answering(Behaviour::ok(""));
    let world = World::new(json!({ "alert": {
        "webhooks": [{ "url": recorder.url(""), "kind": "alertmanager", "environments": ["dev"] }],
        "rules": { "disk": { "free_percent": 99, "free_gb": 1_000_000 } },
    } }));
    let daemon = world.start();
    let alert = |received: &Received| {
        let all = received.json();
        let mut all = all.as_array().unwrap().clone().into_iter();
        all.find(|alert| alert["labels"]["alertname"] == "disk")
            .unwrap()
    };
    let firing = alert(&recorder.wait_for(1, |_| true)[0]);
    assert_eq!(firing["labels"]["partition"], "script1");
    assert_eq!(firing["labels"]["severity"], "critical");
    assert!(firing["labels"]["subject"].is_string() && firing["labels"]["instance"].is_string());
    daemon.stop();
    let received = recorder.received();
    let last = alert(received.last().unwrap());
    assert_eq!(last["labels"], firing["labels"]);
    assert!(
        last["endsAt"].as_str() < firing["endsAt"].as_str(),
        "{last}: it has ended"
    );
    assert!(received.len() >= 2);
}
