//! The daemon's own alerts, as a receiver gets them.

mod cron_runs;
mod dead_letters;
mod outages;

use serde_json::{Value, json};

use crate::servers::recorder::{Behaviour, Received, Recorder};
use crate::wait::{PATIENCE, wait_until};
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
