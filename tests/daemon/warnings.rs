//! Counts of business code (`Warning`): one message a period, whichever processes count, whatever becomes of them. The
//! example `warnings` counts, a recorder is the receiver.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::{Engine, OwnServer, on_each_database};
use crate::process::{Daemon, signal_pid};
use crate::servers::recorder::{Behaviour, Recorder};
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_for, wait_until};
use crate::world::{World, example};

on_each_database! { world =>
    eight_processes_and_a_kill_make_one_message_a_period,
    a_normal_stop_sends_what_was_reached_once,
    handlers_of_all_kinds_and_own_code_count,
    a_run_that_counts_and_ends_at_once_loses_nothing,
}
on_each_database! { own_server =>
    what_is_counted_in_an_outage_is_no_burst,
}

/// A receiver, and a world whose daemons have it.
struct Warned {
    world: World,
    recorder: Recorder,
}

fn settings(recorder: &Recorder) -> Value {
    json!({ "alert": { "webhooks": [{ "url": recorder.url("/json"), "environments": ["dev"] }] } })
}

fn takes() -> Recorder {
    Recorder::start(|_| Behaviour::ok("ok"))
}

/// A table queue for the async handler and one for the blocking one.
fn queues() -> Value {
    let queue = |exec_cmd: &str| {
        json!({
            "name": exec_cmd, "exec_cmd": exec_cmd, "table": exec_cmd, "progress": 2,
            "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
        })
    };
    json!([queue("warn"), queue("warn_blocking")])
}

fn world(engine: Engine) -> Option<Warned> {
    let recorder = takes();
    let world = World::on(engine, settings(&recorder))?;
    world.partition("script1", &queues(), &json!([]));
    Some(Warned { world, recorder })
}

fn own_server(engine: Engine) -> Option<(Warned, OwnServer)> {
    let server = OwnServer::of(engine)?;
    let recorder = takes();
    let mut settings = settings(&recorder);
    // Ten a second for as long as the daemon lives: never fifty-one within five seconds, nor seventy with a second more on either
    // side, as segments of a second have it.
    let slow =
        json!({ "flag": "slow", "limit": 80, "seconds": 5, "times": 100_000, "every_ms": 100 });
    let fast =
        json!({ "flag": "fast", "limit": 20, "seconds": 5, "times": 100_000, "every_ms": 100 });
    settings["app"] = json!({ "own": [slow, fast] });
    settings["heartbeat_interval"] = json!("500ms");
    let world = World::at(engine, server.database(), settings);
    Some((Warned { world, recorder }, server))
}

impl Warned {
    fn command(&self, words: &[&str]) -> Command {
        self.world.command_of(&example("warnings"), words)
    }

    fn start(&self) -> Daemon {
        self.start_with(&["run"])
    }

    fn start_with(&self, words: &[&str]) -> Daemon {
        let mut daemon = self.world.spawn_command(self.command(words));
        daemon.wait_ready();
        daemon
    }

    #[track_caller]
    fn run(&self, words: &[&str]) {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// A process of its own that counts, as a cron run is one.
    fn exec(&self, order: &Value) -> Child {
        let order = order.to_string();
        let mut command = self.command(&["exec", "warn", &order]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().unwrap()
    }

    /// All that the receiver has taken of counts.
    fn alerts(&self) -> Vec<Value> {
        let received = self.recorder.received();
        let all = received.iter().flat_map(|one| {
            let body = one.json();
            body["alerts"].as_array().cloned().unwrap_or_default()
        });
        all.filter(|alert| alert["kind"] == "count").collect()
    }

    fn alerts_of(&self, flag: &str) -> Vec<Value> {
        let all = self.alerts().into_iter();
        all.filter(|alert| alert["rule"] == flag).collect()
    }

    /// What is sent behind all that was reached before: when it is there nothing of that is missing.
    #[track_caller]
    fn wait_marker(&self, flag: &str) {
        self.run(&["exec", "warn", &order(flag, 1, 60, 1).to_string()]);
        wait_until("the marker", LONG_PATIENCE, || {
            !self.alerts_of(flag).is_empty()
        });
    }

    /// How much is counted of a flag in all windows that are known, and how many of them reached their limit.
    fn counted(&self, flag: &str) -> (i64, usize) {
        let Ok(mut database) = self.world.try_database() else {
            return (0, 0);
        };
        let mut of = |column: &str| {
            database.texts(&format!(
                "SELECT {column} FROM warning_window WHERE flag = '{flag}'"
            ))
        };
        let (counted, said, earlier) = (of("counted"), of("said"), of("earlier"));
        let number = |text: &String| text.trim().parse::<i64>().unwrap();
        let mut sum: i64 = counted.iter().map(number).sum();
        let mut reached = said.iter().filter(|said| said.trim() == "1").count();
        for text in earlier {
            let windows: Vec<(i64, i64, bool)> = serde_json::from_str(text.trim()).unwrap();
            sum += windows.iter().map(|(_, counted, _)| counted).sum::<i64>();
            reached += windows.iter().filter(|(_, _, said)| *said).count();
        }
        (sum, reached)
    }

    /// Messages are a period apart, by the times of the counts: none is sent twice within one.
    #[track_caller]
    fn assert_periods_apart(&self, flag: &str, seconds: u64) {
        let alerts = self.alerts_of(flag);
        let starts = alerts.iter().map(|alert| {
            let started = alert["started_at"].as_str().unwrap();
            chrono::DateTime::parse_from_rfc3339(started)
                .unwrap()
                .timestamp_millis()
        });
        let mut starts: Vec<i64> = starts.collect();
        starts.sort_unstable();
        let least_ms = i64::try_from(seconds * 1_000).unwrap();
        let are_apart = starts.windows(2).all(|pair| pair[1] - pair[0] >= least_ms);
        assert!(are_apart, "{flag}: {starts:?}");
    }

    /// The lines of a file that the example writes.
    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.world.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What was answered, by process.
    fn answered(&self) -> BTreeMap<u32, i64> {
        let mut answered = BTreeMap::new();
        for line in self.lines("answered") {
            let (pid, count) = line.split_once(' ').unwrap();
            *answered.entry(pid.parse().unwrap()).or_insert(0) += count.parse::<i64>().unwrap();
        }
        answered
    }
}

fn order(flag: &str, limit: u64, seconds: u64, times: u64) -> Value {
    json!({ "flag": flag, "limit": limit, "seconds": seconds, "times": times })
}

fn eight_processes_and_a_kill_make_one_message_a_period(warned: Warned) {
    const EACH: i64 = 10_000;
    let daemon = warned.start();
    let mut order = order("pay", 100, 60, EACH.unsigned_abs());
    order["chunk"] = json!(1_000);
    let begun = Instant::now();
    let mut processes: Vec<Child> = (0..8).map(|_| warned.exec(&order)).collect();
    let killed = processes.remove(3);
    let victim = killed.id();
    wait_until("the first answers", LONG_PATIENCE, || {
        warned.answered().contains_key(&victim)
    });
    signal_pid(victim, Signal::KILL);
    let status = { killed }.wait().unwrap();
    assert!(!status.success());
    for process in &mut processes {
        let ended = wait_for("a process to end", LONG_PATIENCE, || {
            process.try_wait().unwrap()
        });
        assert!(ended.success(), "{ended}");
    }
    let answered = warned.answered();
    assert_eq!(answered.len(), 8);
    let of_victim = answered[&victim];
    let all: i64 = answered.values().sum();
    assert_eq!(all - of_victim, 7 * EACH);
    let (counted, reached) = warned.counted("pay");
    assert!(counted >= all, "{counted} are counted, {all} were answered");
    assert!(counted <= 8 * EACH, "{counted} are counted");
    assert!(reached >= 1);
    warned.wait_marker("marker");
    let alerts = warned.alerts_of("pay");
    assert_eq!(alerts.len(), reached, "{alerts:?}");
    let periods = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    assert!(alerts.len() <= periods + 1, "{alerts:?}");
    warned.assert_periods_apart("pay", 60);
    println!("{counted} counted, {all} answered, {of_victim} of the killed one; {reached} periods");
    let alert = &alerts[0];
    assert_eq!(alert["summary"], "pay: 100 within 60 s");
    let details = alert["details"].as_array().unwrap();
    assert!(
        details[0]
            .as_str()
            .unwrap()
            .contains("limit 100, period 60 s; reached in partition script1 on host"),
        "{details:?}"
    );
    assert!((2..=21).contains(&details.len()), "{details:?}");
    assert!(
        details[1].as_str().unwrap().starts_with("pay "),
        "{details:?}"
    );
    daemon.stop();
}

fn a_normal_stop_sends_what_was_reached_once(warned: Warned) {
    const ROUNDS: usize = 3;
    for round in 0..ROUNDS {
        let daemon = warned.start();
        let flag = format!("stop {round}");
        let order = order(&flag, 100, 3_600, 100).to_string();
        warned.run(&["send", "warn", &order]);
        // Counted or not yet, in the table or not yet, handed over or not yet.
        warned.world.wait_drained();
        random_moment(Duration::from_millis(1_500));
        daemon.stop();
    }
    let daemon = warned.start();
    warned.wait_marker("marker");
    for round in 0..ROUNDS {
        let flag = format!("stop {round}");
        assert_eq!(warned.counted(&flag), (100, 1), "{flag}");
        assert_eq!(warned.alerts_of(&flag).len(), 1, "{flag}");
    }
    daemon.stop();
    let mut database = warned.world.database();
    assert_eq!(
        database.number("SELECT COUNT(*) AS n FROM warning_notice"),
        0
    );
}

fn handlers_of_all_kinds_and_own_code_count(warned: Warned) {
    let cron = |name: &str| {
        let params = order(&format!("cron {name}"), 1, 3_600, 1).to_string();
        json!({ "cron": "* * * * * *", "name": name, "exec_cmd": name, "params": params, "status": 1 })
    };
    let crontab = json!([cron("warn"), cron("warn_blocking")]);
    warned.world.partition("script1", &queues(), &crontab);
    let mut settings = settings(&warned.recorder);
    settings["database"] = json!({ "url": warned.world.url() });
    settings["http"] = json!({ "listen": null });
    settings["app"] = json!({ "own": [order("own code", 1, 3_600, 1)] });
    warned.world.etc("dev.json", &settings);
    let daemon = warned.start();
    for name in ["warn", "warn_blocking"] {
        let message = order(&format!("queue {name}"), 1, 3_600, 1).to_string();
        warned.run(&["send", name, &message]);
        let task = order(&format!("delay {name}"), 1, 3_600, 1).to_string();
        warned.run(&["push", name, "--params", &task, "--delay-time", "0"]);
    }
    let flags = [
        "queue warn",
        "queue warn_blocking",
        "delay warn",
        "delay warn_blocking",
        "cron warn",
        "cron warn_blocking",
        "own code",
    ];
    for flag in flags {
        wait_until(flag, LONG_PATIENCE, || !warned.alerts_of(flag).is_empty());
    }
    warned.wait_marker("marker");
    for flag in flags {
        let alerts = warned.alerts_of(flag);
        assert_eq!(alerts.len(), 1, "{flag}: {alerts:?}");
        let message = alerts[0]["details"][1].as_str().unwrap();
        assert!(
            message.starts_with(&format!("{flag} 0 of process ")),
            "{message}"
        );
    }
    daemon.stop();
    let mut lines = String::new();
    for file in fs::read_dir(warned.world.path("logs/WarningLog")).unwrap() {
        lines += &fs::read_to_string(file.unwrap().path()).unwrap_or_default();
    }
    for flag in flags {
        let field = format!("\"fields\":{{\"flag\":\"{flag}\"}}");
        assert!(lines.contains(&field), "{flag}: {lines}");
    }
}

fn a_run_that_counts_and_ends_at_once_loses_nothing(warned: Warned) {
    for _ in 0..5 {
        let mut run = warned.exec(&order("short", 1_000, 3_600, 7));
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(warned.counted("short"), (35, 0));
}

fn what_is_counted_in_an_outage_is_no_burst((warned, server): (Warned, OwnServer)) {
    /// Three periods and more.
    const AWAY: Duration = Duration::from_secs(17);
    let daemon = warned.start();
    wait_until("the first counts", PATIENCE, || {
        warned.counted("slow").0 > 0
    });
    let before = warned.lines("slow.counted").len();
    server.hang(&warned.world);
    thread::sleep(AWAY);
    let in_outage = warned.lines("slow.counted").len() - before;
    assert!(
        in_outage > 80,
        "{in_outage}: as one burst they would reach the limit"
    );
    server.go_on();
    let after = i64::try_from(warned.lines("slow.counted").len()).unwrap();
    wait_until("what was counted in the outage", LONG_PATIENCE, || {
        warned.counted("slow").0 >= after
    });
    let all = daemon_stops(daemon, &warned, "slow");
    assert_eq!(warned.counted("slow"), (all, 0));
    assert!(
        warned.alerts_of("slow").is_empty(),
        "{:?}",
        warned.alerts_of("slow")
    );
    // The other flag reached its limit in each of the periods, those of the outage too.
    let (_, reached) = warned.counted("fast");
    assert!(reached >= 3, "{reached}");
    assert_eq!(warned.alerts_of("fast").len(), reached);
    warned.assert_periods_apart("fast", 5);
    println!(
        "{in_outage} counted in the outage, {all} in all; {reached} periods of the other flag"
    );
}

/// Stops it, and answers how many were counted by then.
fn daemon_stops(daemon: Daemon, warned: &Warned, flag: &str) -> i64 {
    daemon.stop();
    i64::try_from(warned.lines(&format!("{flag}.counted")).len()).unwrap()
}

#[test]
fn a_receiver_that_hangs_delays_no_other_one() {
    /// More than are in the hands of the receivers at a time.
    const NOTICES: usize = 350;
    let (takes, hangs) = (takes(), Recorder::answering(Behaviour::Hang));
    let receiver =
        |recorder: &Recorder| json!({ "url": recorder.url("/json"), "environments": ["dev"] });
    let settings = json!({ "alert": { "webhooks": [receiver(&hangs), receiver(&takes)] } });
    let world = World::on(Engine::Sqlite, settings).unwrap();
    world.partition("script1", &queues(), &json!([]));
    let warned = Warned {
        world,
        recorder: takes,
    };
    let daemon = warned.start();
    let now_ms = chrono::Utc::now().timestamp_millis();
    let rows = (0..NOTICES).map(|n| {
        format!("('dev', 'flag {n}', 60, 1, 0, 1, '[]', 'here', 'script1', '', {now_ms})")
    });
    let rows: Vec<String> = rows.collect();
    let columns = "environment, flag, seconds, limit_count, started_ms, counted, messages, host, partition_name, owner, created_ms";
    let insert = format!(
        "INSERT INTO warning_notice ({columns}) VALUES {}",
        rows.join(", ")
    );
    warned.world.database().execute(&insert);
    wait_until("all at the other receiver", LONG_PATIENCE, || {
        warned.alerts().len() >= NOTICES
    });
    warned.wait_marker("marker");
    let flags: std::collections::BTreeSet<String> = warned
        .alerts()
        .iter()
        .map(|alert| alert["rule"].to_string())
        .collect();
    assert_eq!(
        (flags.len(), warned.alerts().len()),
        (NOTICES + 1, NOTICES + 1)
    );
    assert!(!hangs.received().is_empty());
    daemon.kill();
}

#[test]
fn a_daemon_without_a_receiver_leaves_alerts_to_one_that_has_one() {
    let warned = world(Engine::Sqlite).unwrap();
    fs::create_dir(warned.world.path("etc2")).unwrap();
    let settings = json!({ "database": { "url": warned.world.url() }, "http": { "listen": null } });
    fs::write(warned.world.path("etc2/dev.json"), settings.to_string()).unwrap();
    fs::write(
        warned.world.path("etc2/queue_script2.json"),
        queues().to_string(),
    )
    .unwrap();
    fs::write(warned.world.path("etc2/crontab_script2.json"), "[]").unwrap();
    let words = ["--etc", "etc2", "--partition", "script2"];
    let exec = |flag: &str| {
        let order = order(flag, 1, 3_600, 1).to_string();
        warned.run(&[&words[..], &["exec", "warn", &order]].concat());
    };
    // Alone it logs what would be sent.
    let mut without = warned.start_with(&[&words[..], &["run"]].concat());
    exec("alone");
    let mut database = warned.world.database();
    // It is left for five minutes to a daemon that has one.
    database.execute("UPDATE warning_notice SET created_ms = created_ms - 300000");
    without.wait_log(
        "alert, sent to nobody, as `alert.webhooks` names no receiver: alone: 1 within 3600 s",
    );
    let with = warned.start();
    let senders = database.number("SELECT COUNT(*) AS n FROM warning_sender");
    assert_eq!(senders, 1, "it is ready, and not announced");
    for n in 0..5 {
        exec(&format!("beside {n}"));
    }
    warned.wait_marker("marker");
    for n in 0..5 {
        let alerts = warned.alerts_of(&format!("beside {n}"));
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let details = alerts[0]["details"][0].as_str().unwrap();
        assert!(
            details.contains("reached in partition script2 on host"),
            "{details}"
        );
    }
    // Nor while it restarts, be the alert old or not.
    with.stop();
    exec("meanwhile");
    exec("long ago");
    database.execute(
        "UPDATE warning_notice SET created_ms = created_ms - 300000 WHERE flag = 'long ago'",
    );
    let with = warned.start();
    for flag in ["meanwhile", "long ago"] {
        wait_until(flag, LONG_PATIENCE, || !warned.alerts_of(flag).is_empty());
    }
    assert!(warned.alerts_of("alone").is_empty());
    assert_eq!(
        without.log().matches("sent to nobody, as").count(),
        1,
        "{}",
        without.log()
    );
    without.stop();
    with.stop();
}
