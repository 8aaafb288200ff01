//! The commands beside the daemon.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::{Value, json};

use crate::servers::kafka;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

fn world() -> World {
    let world = World::new(json!({}));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work_table", "progress": 1,
        "progress_lag_limit": 1000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    world
}

#[track_caller]
fn fails(world: &World, args: &[&str], code: i32, why: &str) {
    let output = world.run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(why), "{args:?}: {said}");
}

#[test]
fn exec_runs_a_cron_handler_and_says_how_it_went() {
    let world = world();
    let said = world.output(&["exec", "ledger", "by hand"]);
    let result: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(result["status"], 0, "{result}");
    let ledger = world.ledger();
    assert_eq!(
        (ledger.lines[0].kind.as_str(), ledger.lines[0].body.as_str()),
        ("cron", "by hand")
    );

    for (params, why) in [
        ("fail:x", "the body says fail"),
        ("panic:x", "the body says panic"),
    ] {
        let output = world.run(&["exec", "ledger", params]);
        assert_eq!(output.status.code(), Some(1), "{params}");
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["status"], 1);
        assert!(result["data"].as_str().unwrap().contains(why), "{result}");
    }
    let unknown = world.run(&["exec", "legder"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("did you mean `ledger`"));
    let logged = "SELECT count(*) AS n FROM crontab_log";
    assert_eq!(
        world.migrate().number(logged),
        0,
        "runs by hand are no fires"
    );
}

#[test]
fn exec_pushes_onto_the_delay_queue_and_the_daemon_runs_it() {
    let world = world();
    world.output(&["exec", "ledger", "push:0:from a cron process"]);
    let daemon = world.start();
    wait_until("the task", PATIENCE, || world.ledger_len() == 2);
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(
        ledger.of_kind("delay").next().unwrap().body,
        "from a cron process"
    );
}

#[test]
fn push_and_send_are_durable_when_they_return_or_refused_with_a_reason() {
    let world = world();
    let id = world.output(&["push", "ledger", "--params", "-x 测试", "--delay-time", "1"]);
    let id: i64 = id.trim().parse().unwrap();
    assert!(
        world
            .output(&["send", "work", "--", "-", "-y"])
            .contains("sent to `work`: 2")
    );
    world.send("work", &["行".to_owned(), "a b".to_owned()]);

    let long = "x".repeat(501);
    fails(
        &world,
        &["push", "legder", "--delay-time", "1"],
        2,
        "did you mean `ledger`",
    );
    fails(
        &world,
        &["push", "ledger", "--params", &long, "--delay-time", "1"],
        2,
        "501 characters",
    );
    fails(
        &world,
        &["push", "ledger", "--delay-time", "-1"],
        2,
        "delay_time",
    );
    fails(&world, &["push", "ledger"], 2, "--delay-time");
    fails(&world, &["send", "wrok", "x"], 2, "did you mean `work`");

    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    let mut bodies: Vec<_> = ledger.lines.iter().map(|line| line.body.as_str()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["-", "-x 测试", "-y", "a b", "行"]);
    let task = ledger.of_kind("delay").next().unwrap();
    assert_eq!(task.id, id);
    assert!(task.late_us.unwrap() >= 0, "never before its time");
    assert!(world.output(&["dead", "list"]).contains("no dead letters"));
}

#[test]
fn lines_are_sent_while_more_may_come() {
    let world = world();
    let daemon = world.start();
    let mut sender = world
        .command(&["send", "work", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = sender.stdin.take().unwrap();
    for (sent, line) in ["first\n", "second\r\n", "third"].into_iter().enumerate() {
        stdin.write_all(line.as_bytes()).unwrap();
        if line.ends_with('\n') {
            // Standard input stays open all the while.
            wait_until("the message", PATIENCE, || world.ledger_len() == sent + 1);
        }
    }
    drop(stdin);
    let said = sender.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&said), "sent to `work`: 3\n");
    world.wait_drained();
    daemon.stop();
    let bodies: Vec<_> = world
        .ledger()
        .lines
        .into_iter()
        .map(|line| line.body)
        .collect();
    assert_eq!(bodies, ["first", "second", "third"]);
}

#[test]
fn a_large_file_is_sent_and_what_is_wrong_is_reported_before_anything_is_sent() {
    let world = world();
    let mut etc: Value =
        serde_json::from_str(&fs::read_to_string(world.path("etc/queue_script1.json")).unwrap())
            .unwrap();
    let list = json!({
        "name": "list", "exec_cmd": "ledger", "key": "l", "progress": 1, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 0,
    });
    etc.as_array_mut().unwrap().push(list);
    world.partition("script1", &etc, &json!([]));

    for (args, why) in [
        (
            &["send", "list", "x", "--key", "k"][..],
            "queue `list` is a Redis list",
        ),
        (
            &["send", "list", "x", "--header", "a=b"],
            "without `--key` and `--header`",
        ),
        (
            &["send", "work", "x", "--header", "a"],
            "`NAME=VALUE` would be right",
        ),
        (
            &["send", "work", "--file", "missing.txt"],
            "`missing.txt`: No such file",
        ),
        (&["send", "work", "x", "--file", "a"], "cannot be used with"),
        (&["send", "work"], "required"),
    ] {
        fails(&world, args, 2, why);
    }
    assert!(
        !world.path("data").exists(),
        "nothing was made for what is refused"
    );

    let lines: String = (0..5500).map(|n| format!("line {n}\r\n")).collect();
    fs::write(world.path("big.txt"), lines).unwrap();
    let said = world.output(&[
        "send", "work", "--file", "big.txt", "--key", "k", "--header", "a=b=c",
    ]);
    assert_eq!(said, "sent to `work`: 5500\n");
    let mut database = world.database();
    let bodies = database.texts("SELECT CAST(payload AS TEXT) AS t FROM queue_message ORDER BY id");
    assert!(
        bodies
            .iter()
            .enumerate()
            .all(|(n, body)| *body == format!("line {n}"))
    );
    let wrapped = "SELECT count(*) AS n FROM queue_message WHERE msg_key = X'6B' AND headers = '[[\"a\",\"Yj1j\"]]'";
    assert_eq!((bodies.len(), database.number(wrapped)), (5500, 5500));

    // From here on the database refuses one line.
    database.execute(
        "DELETE FROM queue_message; CREATE TRIGGER refuse BEFORE INSERT ON queue_message WHEN NEW.payload = CAST('line 3210' AS BLOB)
         BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    let output = world.run(&["send", "work", "--file", "big.txt"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let sent = database.number("SELECT count(*) AS n FROM queue_message");
    assert!(
        said.starts_with(
            "3210 messages sent, lines 1 to 3210 of `big.txt`; line 3211 was not acknowledged, and nothing behind it was sent: "
        ),
        "{said}"
    );
    assert!(
        said.contains("not this one") && said.contains("`tail -n +3211 big.txt` is the rest"),
        "{said}"
    );
    assert_eq!(sent, 3210);
    let last = "SELECT CAST(payload AS TEXT) AS t FROM queue_message ORDER BY id DESC LIMIT 1";
    assert_eq!(database.texts(last), [format!("line {}", sent - 1)]);
}

/// Bytes of a record that the client refuses by itself, and of one that its topic refuses.
const TOO_LARGE: [(usize, &str); 2] = [(1_500_000, "1048588"), (200_000, "100000")];

#[test]
fn a_line_too_large_for_its_topic_stops_the_file_and_a_person_can_go_on_behind_it() {
    let Some(server) = kafka::shared() else {
        return;
    };
    for (bytes, most) in TOO_LARGE {
        let topic = server.name();
        server.create_topic_with(&topic, 1, &[("max.message.bytes", most)]);
        let world = World::new(json!({ "kafka": { "default": { "brokers": server.brokers() } } }));
        let entry = json!({
            "name": "work", "exec_cmd": "ledger", "topic": topic, "group_id": server.name(), "progress": 1,
            "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1,
        });
        world.partition("script1", &json!([entry]), &json!([]));
        let small = |from: usize, to: usize| (from..to).map(|n| format!("line {n}\n"));
        let large = format!("{}\n", "x".repeat(bytes));
        let lines: String = small(0, 1500).chain([large]).chain(small(0, 100)).collect();
        fs::write(world.path("lines.txt"), &lines).unwrap();
        let records = || {
            let client: BaseConsumer = server.client().create().unwrap();
            client.fetch_watermarks(&topic, 0, PATIENCE).unwrap().1
        };

        let output = world.run(&["send", "work", "--file", "lines.txt"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with(
                "1500 messages sent, lines 1 to 1500 of `lines.txt`; line 1501 was not acknowledged, and nothing behind it was sent: "
            ),
            "{said}"
        );
        assert!(
            said.contains("size too large")
                && said.contains("`tail -n +1501 lines.txt` is the rest"),
            "{said}"
        );
        assert_eq!(records(), 1500);
        let rest: String = lines.split_inclusive('\n').skip(1501).collect();
        fs::write(world.path("rest.txt"), rest).unwrap();
        world.output(&["send", "work", "--file", "rest.txt"]);
        assert_eq!(records(), 1600);
    }
}

/// Each record goes to the broker by itself: it refuses some, and takes those around them.
#[test]
fn lines_that_a_topic_refuses_among_others_are_named_and_a_repeat_doubles_nothing() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let topic = server.name();
    server.create_topic_with(&topic, 1, &[("max.message.bytes", "2000")]);
    let properties = json!({ "batch.num.messages": 1 });
    let cluster = json!({ "brokers": server.brokers(), "properties": properties });
    let world = World::new(json!({ "kafka": { "default": cluster } }));
    let entry = json!({
        "name": "work", "exec_cmd": "ledger", "topic": topic, "group_id": server.name(), "progress": 1,
        "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1,
    });
    world.partition("script1", &json!([entry]), &json!([]));
    let line = |n: usize| match n {
        50 | 70 | 71 => format!("{n} {}\n", "x".repeat(5000)),
        _ => format!("{n}\n"),
    };
    let lines: String = (1..=1100).map(line).collect();
    fs::write(world.path("lines.txt"), &lines).unwrap();
    let records = || {
        let client: BaseConsumer = server.client().create().unwrap();
        client.fetch_watermarks(&topic, 0, PATIENCE).unwrap().1
    };
    let output = world.run(&["send", "work", "--file", "lines.txt"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(records(), 997, "{said}");
    for part in [
        "997 messages sent, lines 1 to 1000 of `lines.txt` without 50, 70 to 71, which were refused, and are not in the queue; \
         nothing behind line 1000 was sent: ",
        "size too large",
        "`sed -n '50p;70,71p;1001,$p' lines.txt` is the rest",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // The rest as that command prints it, put right.
    let rest = [50, 70, 71].map(|n| format!("{n}\n")).concat();
    let rest: String = rest + &(1001..=1100).map(line).collect::<String>();
    fs::write(world.path("rest.txt"), rest).unwrap();
    world.output(&["send", "work", "--file", "rest.txt"]);
    assert_eq!(records(), 1100);
}
