//! The routes in this process: what they answer, against `openapi.json`, and how long it takes.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::guard::Entrance;
use super::routes::Asked;
use super::*;
use crate::orders::dead::{Deed, Meant};
use crate::state::{
    CronFacts, CronState, DelayState, FailureCause, Identity, QueueFacts, QueueState, State,
};
use crate::stop::StopSignal;
use crate::testing_support::TestDb;

/// A scrape of a thousand queues is to take no longer.
const SCRAPE: Duration = Duration::from_millis(50);
/// A build without optimisation takes 72 ms on two busy cores.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 3 } else { 1 };

fn queue(name: String) -> Arc<QueueState> {
    let queue = QueueState::new(QueueFacts {
        source: name.clone(),
        name,
        kind: "table",
        exec_cmd: "c".to_owned(),
        progress: 1,
        max_progress: Some(4),
        rate_limit: None,
        lag_limit: 10,
    });
    queue.sized(4, 4, 4);
    queue.lag_checked(Some(11), true);
    queue.failed("7", 2, FailureCause::Panic, "no\nway");
    queue.resized(1, 4, "its lag");
    queue
}

/// What the port of a daemon that has begun, with this many queues, answers from.
pub(super) fn config(db: &TestDb, queues: usize, settings: HttpSettings) -> Arc<HttpConfig> {
    config_of(db, queues, 3, settings)
}

pub(super) fn config_of(
    db: &TestDb,
    queues: usize,
    entries: usize,
    settings: HttpSettings,
) -> Arc<HttpConfig> {
    let queues = (0..queues).map(|n| queue(format!("queue {n}"))).collect();
    config_from(db, queues, entries, settings)
}

/// With one queue of that name, which is its source's, its handler's and its errors' text too.
pub(super) fn config_with(db: &TestDb, name: &str) -> Arc<HttpConfig> {
    let queue = queue(name.to_owned());
    queue.set_facts(QueueFacts {
        exec_cmd: name.to_owned(),
        ..QueueFacts::clone(&queue.facts())
    });
    queue.failed(name, 1, FailureCause::Error, name);
    queue.resized(1, 2, name);
    config_from(db, vec![queue], 3, HttpSettings::default())
}

fn config_from(
    db: &TestDb,
    queues: Vec<Arc<QueueState>>,
    entries: usize,
    settings: HttpSettings,
) -> Arc<HttpConfig> {
    let identity = Identity {
        version: "0",
        environment: "dev".to_owned(),
        partition: "script1".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        boot: "b".to_owned(),
        started_ms: now_ms(),
    };
    let entry = |name: &str, key: &str| {
        let entry = CronState::new(CronFacts {
            name: name.to_owned(),
            key: key.to_owned(),
            expression: "@daily".to_owned(),
            timezone: "UTC".to_owned(),
            exec_cmd: "c".to_owned(),
            replaces: false,
        });
        entry.started("u", now_ms(), 7);
        entry.ended("v", "failed", "{}");
        entry
    };
    let delay = DelayState::new();
    delay.counted(3, Some(now_ms() - 60_000));
    let own_names = (3..entries).map(|n| entry(&format!("entry {n}"), &format!("k{n}")));
    let cron = [
        // Somebody gives an entry the label that another one would have.
        entry("report", "k1"),
        entry("report", "k2"),
        entry("report (k1)", "k3"),
    ];
    let cron = cron.into_iter().chain(own_names).collect();
    let state = State::new(identity, queues, cron, delay);
    *state.dead_letters.lock() = Some(100_001);
    state.sample(now_ms());
    Arc::new(HttpConfig {
        settings,
        state: Arc::new(state),
        db: db.db.clone(),
        database: DatabaseCheck::new(db.db.clone()),
        liveness: Arc::new(Liveness::new(Duration::from_secs(5))),
        sources: RwLock::default(),
        targets: Arc::default(),
        dead_letters: DeadLetterJobs::default(),
        reloads: ReloadHandle::default(),
        pools: PoolOrders::default(),
        files: Files::empty(),
        socket: Socket::new(&std::env::temp_dir(), "script1", "b"),
        started: AtomicBool::new(true),
    })
}

/// Status and body of a request over an entrance.
macro_rules! ask {
    ($config:expr, $entrance:expr, $request:expr) => {{
        let stop = StopSignal::new();
        let asked = Asked {
            config: Arc::clone(&$config),
            stop: stop.listen(),
        };
        let app = init_service(serve::app(asked, $entrance)).await;
        let request = $request.insert_header((HOST, "localhost")).to_request();
        let answer = call_service(&app, request).await;
        (answer.status(), read_body(answer).await)
    }};
}

fn description() -> Value {
    serde_json::from_str(include_str!("openapi.json")).unwrap()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let source = concat!(include_str!("routes.rs"), include_str!("api/mod.rs"));
    let routes: BTreeSet<(String, String)> = source
        .match_indices(".route(")
        .map(|(at, _)| {
            let route = &source[at..at + source[at..].find(".to(").unwrap()];
            let path = route.split('"').nth(1).unwrap();
            let method = route.rsplit("web::").next().unwrap();
            (path.to_owned(), method.trim_end_matches("()").to_owned())
        })
        .collect();
    let described = description();
    let paths = described["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| (path.clone(), method.clone()))
    });
    assert_eq!(routes, described.collect());
    assert!(routes.len() > 10);
}

/// What an answer has that its schema does not say, or lacks.
fn differences(schema: &Value, value: &Value, all: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return differences(&all[name], value, all, &format!("{at}:{name}"), found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let fits = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    if !types.iter().any(fits) {
        return found.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Value::Array(items) = value {
        for item in items {
            differences(&schema["items"], item, all, &format!("{at}[]"), found);
        }
    }
    let (Value::Object(members), Value::Object(known)) = (value, &schema["properties"]) else {
        return;
    };
    for (key, member) in members {
        match known.get(key) {
            Some(schema) => differences(schema, member, all, &format!("{at}.{key}"), found),
            None => found.push(format!("{at}.{key} is not described")),
        }
    }
    for key in schema["required"].as_array().unwrap() {
        if !members.contains_key(key.as_str().unwrap()) {
            found.push(format!("{at}.{key} is missing"));
        }
    }
}

#[actix_rt::test]
async fn answers_are_as_described() {
    let db = TestDb::start();
    let config = config(&db, 2, HttpSettings::default());
    db.sql(
        "INSERT INTO delay_queue_log (id, name, exec_cmd, params, status, exec_time) VALUES (1, 'n', 'c', 'p', 1, 5);
         INSERT INTO dead_letter (id, kind, source, name, exec_cmd, original_id, payload, msg_key, headers, error, attempts,
             partition_name, first_ms, died_ms)
         VALUES (1, 'queue', 't', 'n', 'c', '1', x'ff', 'key', NULL, 'e', 1, 'script1', 1, 1);
         INSERT INTO audit (environment, at_ms, ordered_by, action, target, result) VALUES ('dev', 1, 'ann', 'run', 't', 'r');
         INSERT INTO daemon_order (environment, partition_name, kind, name, entry, uk, ordered_by, ordered_ms, state)
         VALUES ('dev', 'script1', 'run', 'report', 'k2', 'u', 'ann', 1, 1)",
    );
    let purge = dead_letters::NewJob {
        environment: "dev".to_owned(),
        ordered_by: "ann".to_owned(),
        meant: Meant {
            ids: vec![99],
            ..Meant::default()
        },
        deed: Deed::Purge,
        rate: None,
    };
    config.dead_letters.begin(&config.db, purge).unwrap();
    let description = description();
    let schemas = &description["components"]["schemas"];
    let mut seen = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let content = &methods["get"]["responses"]["200"]["content"];
        let Some(json) = content.get("application/json") else {
            continue;
        };
        let uri = path.replace("{name}", "queue%201").replace("{key}", "k2");
        let uri = uri.replace("{id}", "1").replace("{order}", "1");
        let get = TestRequest::get().uri(&uri);
        let (status, body) = ask!(config, Entrance::Socket, get);
        assert_eq!(status, StatusCode::OK, "{path}");
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let mut found = Vec::new();
        differences(&json["schema"], &answer, schemas, path, &mut found);
        assert_eq!(found, [""; 0]);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[actix_rt::test]
async fn unknown_names_are_not_found_and_orders_need_a_pool() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    for path in [
        "/api/v1/queues/other",
        "/api/v1/cron/other/history",
        "/other",
        "/api",
    ] {
        let (status, body) = ask!(config, Entrance::Socket, TestRequest::get().uri(path));
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert!(fault["error"].is_string());
    }
    let order = |path| TestRequest::post().uri(path);
    for (request, meant) in [
        (TestRequest::get(), "queues/quue%200"),
        (TestRequest::get(), "queues/quue%200/history"),
        (TestRequest::post(), "queues/quue%200/lag-check"),
        (TestRequest::post(), "queues/quue%200/pause"),
        (TestRequest::post(), "queues/quue%200/resume"),
        (TestRequest::get(), "cron/reprot"),
        (TestRequest::get(), "cron/reprot/history"),
        (TestRequest::get(), "cron/reprot/runs"),
        (TestRequest::post(), "cron/reprot/run"),
        (TestRequest::post(), "cron/reprot/pause"),
        (TestRequest::post(), "cron/reprot/resume"),
    ] {
        let path = format!("/api/v1/{meant}");
        let (status, body) = ask!(config, Entrance::Socket, request.uri(&path));
        let name = if meant.starts_with("queues") {
            "queue 0"
        } else {
            "report"
        };
        let why = format!("; did you mean `{name}`?");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(fault["error"].as_str().unwrap().ends_with(&why), "{fault}");
    }
    let (status, _) = ask!(
        config,
        Entrance::Socket,
        order("/api/v1/queues/other/lag-check")
    );
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = ask!(
        config,
        Entrance::Socket,
        order("/api/v1/queues/queue%200/lag-check")
    );
    assert_eq!(
        status,
        StatusCode::SERVICE_UNAVAILABLE,
        "it has not been started"
    );
    let (status, _) = ask!(
        config,
        Entrance::Port,
        order("/api/v1/queues/queue%200/lag-check")
    );
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[actix_rt::test]
async fn below_a_base_path_the_port_answers_there_and_the_socket_does_not() {
    let db = TestDb::start();
    let settings = HttpSettings {
        base_path: "/scripts".to_owned(),
        ..HttpSettings::default()
    };
    let config = config(&db, 1, settings);
    for (entrance, path, found) in [
        (Entrance::Port, "/scripts/healthz", true),
        (Entrance::Port, "/healthz", false),
        (Entrance::Socket, "/healthz", true),
    ] {
        let (status, _) = ask!(config, entrance, TestRequest::get().uri(path));
        assert_eq!(status == StatusCode::OK, found, "{path}");
    }
}

/// What comes back on a connection on which `sent` was sent, and which is read after `read_after`.
async fn answered(
    config: &Arc<HttpConfig>,
    sent: &str,
    read_after: Duration,
) -> (Vec<u8>, Duration) {
    let begun = tokio::time::Instant::now();
    let (mut ours, theirs) = tokio::io::duplex(512);
    let theirs = std::cell::Cell::new(Some(theirs));
    let accept = async || match theirs.take() {
        Some(stream) => Ok((stream, None)),
        None => std::future::pending().await,
    };
    let stop = StopSignal::new().listen();
    let answers = serve::answer_all(config, &stop, Entrance::Socket, accept, |_| None);
    let asks = async {
        ours.write_all(sent.as_bytes()).await.unwrap();
        tokio::time::sleep(read_after).await;
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.unwrap();
        answer
    };
    tokio::select! {
        () = answers => unreachable!("it serves for ever"),
        answer = asks => (answer, begun.elapsed()),
    }
}

#[actix_rt::test]
async fn a_connection_ends_whatever_its_caller_does() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    tokio::time::pause();
    let whole = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, took) = answered(&config, whole, Duration::ZERO).await;
    assert!(
        answer.len() > 10_000 && took < Duration::from_secs(1),
        "{took:?}"
    );
    // One that reads a little too late has the whole answer, one that reads nothing has lost it.
    let (late, _) = answered(&config, whole, Duration::from_secs(55)).await;
    assert_eq!(late.len(), answer.len());
    let (lost, took) = answered(&config, whole, Duration::from_secs(61)).await;
    assert!(
        lost.len() < 1000 && took < Duration::from_secs(62),
        "{} {took:?}",
        lost.len()
    );
    // The order is answered; the body never comes.
    let half = "POST /api/v1/queues/other/lag-check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
    let (_, took) = answered(&config, half, Duration::ZERO).await;
    assert!(took < Duration::from_secs(61), "{took:?}");
}

#[actix_rt::test]
async fn a_thousand_queues_and_cron_entries_are_scraped_within_the_aim() {
    let db = TestDb::start();
    // Of the thread and not of the clock on the wall: the machine may build something else. The best of some, as its
    // caches are others' too.
    for (entries, within) in [(3, SCRAPE), (1000, SCRAPE * 2)] {
        let config = config_of(&db, 1000, entries, HttpSettings::default());
        let mut best = Duration::MAX;
        let mut bytes = 0;
        for _ in 0..10 {
            let begun = thread_time();
            let get = TestRequest::get().uri("/metrics");
            let (status, body) = ask!(config, Entrance::Port, get);
            best = best.min(thread_time() - begun);
            assert_eq!(status, StatusCode::OK);
            bytes = body.len();
        }
        println!(
            "1,000 queues and {entries} cron entries: {} kB of metrics in {best:?}",
            bytes / 1000
        );
        assert!(best < within * UNOPTIMISED, "{entries}: {best:?}");
    }
}

/// CPU time of this thread, which does all of the work.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

#[actix_rt::test]
async fn each_series_is_there_once_whatever_things_are_called() {
    let db = TestDb::start();
    let config = config(&db, 2, HttpSettings::default());
    let text = metrics::text(&config).unwrap();
    for line in [
        "# TYPE simplest_script_queue_messages_total counter",
        "simplest_script_queue_messages_total{queue=\"queue 1\",outcome=\"completed\"} 0",
        "simplest_script_queue_lag{queue=\"queue 0\"} 11",
        "simplest_script_cron_fires_total{entry=\"report (k2)\",outcome=\"failed\"} 1",
        "simplest_script_cron_fires_total{entry=\"report (k1)\",outcome=\"failed\"} 1",
        "simplest_script_cron_fires_total{entry=\"report (k1)+\",outcome=\"failed\"} 1",
        "simplest_script_dead_letters 100001",
        "simplest_script_build_info{version=\"0\"} 1",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(line)),
            "{line}\n{}",
            &text[..3000]
        );
    }
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let distinct: BTreeSet<&&str> = series.iter().collect();
    assert_eq!(distinct.len(), series.len(), "each series once");
}

/// The names in a file of ours for Prometheus or Grafana, without the endings of a histogram's series.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let names = words.filter(|word| word.starts_with("simplest_script_"));
    names
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .filter(|name| name != "simplest_script_consumers_wanted")
        .collect()
}

#[actix_rt::test]
async fn rules_and_board_name_metrics_that_there_are() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    config.state.queues()[0].lag_checked(Some(1), false);
    config.state.cron()[0].ended("u", "success", "{}");
    let text = metrics::text(&config).unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    for file in [
        include_str!("../../etc/prometheus/rules.yml"),
        include_str!("../../etc/prometheus/rules_test.yml"),
        include_str!("../../etc/prometheus/autoscaling.yml"),
        include_str!("../../etc/grafana/simplest_script.json"),
    ] {
        let unknown: Vec<String> = named(file)
            .into_iter()
            .filter(|name| !known.contains(name.as_str()))
            .collect();
        assert_eq!(unknown, [""; 0]);
    }
    assert!(named(include_str!("../../etc/prometheus/rules.yml")).len() > 10);
}

/// `rules_test.yml` tries one query on one and on two daemons; both examples have that one.
#[test]
fn autoscaling_asks_by_the_query_that_is_tried() {
    let query = "sum(max by (queue) (simplest_script_queue_consumers_wanted))";
    let times = |file: &str| file.matches(query).count();
    let autoscaling = include_str!("../../etc/prometheus/autoscaling.yml");
    assert_eq!(times(autoscaling), 2);
    assert_eq!(autoscaling.matches("uery: sum(").count(), 2, "and no other");
    assert_eq!(
        times(include_str!("../../etc/prometheus/rules_test.yml")),
        2
    );
}

/// The texts about a state, at that moment.
fn texts_of(config: &HttpConfig, now_ms: i64) -> Vec<String> {
    let found = wrong::wrong(&config.state, &["it is starting".to_owned()], now_ms);
    found.into_iter().map(|wrong| wrong.text).collect()
}

#[actix_rt::test]
async fn what_is_wrong_is_reported_in_words() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let texts = texts_of(&config, now_ms());
    for part in [
        "it is starting",
        "lag 11 or more is above 10 at full size, 4 of 4 consumers",
        "3 tasks wait, the oldest 60 s past its time; 0 run",
        "the last run did not end well: failed: {}",
        "100,000+ dead letters",
    ] {
        assert!(
            texts.iter().any(|text| text.contains(part)),
            "{part}: {texts:?}"
        );
    }
}

#[actix_rt::test]
async fn numbers_are_judged_as_they_were_when_they_were_read_and_have_their_age() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let later = now_ms() + 25_000;
    let texts = texts_of(&config, later);
    for part in [
        "4 of 4 consumers (read 25 s ago)",
        "the oldest 60 s past its time, counted 25 s ago; 0 run",
    ] {
        assert!(texts.iter().any(|text| text.ends_with(part)), "{texts:?}");
    }
    // It was due a second after the count, and has run since.
    config.state.delay.counted(3, Some(now_ms() + 1000));
    config.state.queues()[0].lag_checked(Some(3), false);
    let texts = texts_of(&config, later);
    assert!(!texts.iter().any(|text| text.contains("tasks wait")));
    assert!(!texts.iter().any(|text| text.contains("lag")));
    let metrics = metrics::text(&config).unwrap();
    assert!(metrics.contains("simplest_script_delay_oldest_overdue_seconds 0.0\n"));
}

#[actix_rt::test]
async fn a_lag_that_cannot_be_read_is_not_shown_as_that_of_now() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let series = "simplest_script_queue_lag{";
    assert!(metrics::text(&config).unwrap().contains(series));
    config.state.queues()[0].lag_checked(None, false);
    let texts = texts_of(&config, now_ms() + 600_000);
    let wanted = "its lag cannot be read; it was 11 or more 10 min ago";
    assert!(texts.iter().any(|text| text == wanted), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("is above")));
    assert!(!metrics::text(&config).unwrap().contains(series));
    let view = config.state.queues()[0].view();
    assert_eq!((view.lag, view.last_lag), (None, Some(11)));
    config.state.queues()[0].lag_checked(Some(12), false);
    assert!(
        texts_of(&config, now_ms())
            .iter()
            .any(|text| text.contains("lag 12 is above"))
    );
}

#[actix_rt::test]
async fn a_process_without_partitions_is_not_behind() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    // Its partitions go to another member of the group: the lag stays that of the group.
    config.state.queues()[0].sized(0, 0, 0);
    config.state.queues()[0].lag_checked(Some(1000), false);
    let texts = texts_of(&config, now_ms());
    assert!(
        !texts.iter().any(|text| text.contains("is above")),
        "{texts:?}"
    );
    config.state.queues()[0].sized(2, 2, 2);
    let texts = texts_of(&config, now_ms());
    assert!(
        texts.iter().any(|text| text.contains("2 of 2")),
        "{texts:?}"
    );
}
