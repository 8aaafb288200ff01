//! The routes in this process: what they answer, against what `openapi.json` says, and how long it takes.

use std::collections::BTreeSet;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::Value;

use super::guard::Entrance;
use super::routes::Asked;
use super::*;
use crate::state::{
    CronFacts, CronState, DelayState, FailureCause, Identity, QueueFacts, QueueState, State,
};
use crate::stop::StopSignal;
use crate::testing_support::TestDb;

/// Alone it takes some milliseconds in a debug build; the machine may build something else.
const SHARED_MACHINE: Duration = Duration::from_secs(2);

fn queue(name: String) -> Arc<QueueState> {
    let queue = QueueState::new(QueueFacts {
        source: name.clone(),
        name,
        kind: "table",
        exec_cmd: "c".to_owned(),
        progress: 1,
        max_progress: Some(4),
        lag_limit: 10,
    });
    queue.sized(4, 4);
    queue.lag_checked(Some(11), true, 4);
    queue.failed("7", 2, FailureCause::Panic, "no\nway");
    queue.resized(1, 4, "its lag");
    queue
}

/// What a daemon with so many queues answers from, which has begun.
fn config(db: &TestDb, queues: usize, settings: HttpSettings) -> Arc<HttpConfig> {
    let identity = Identity {
        version: "0",
        environment: "dev".to_owned(),
        partition: "script1".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        boot: "b".to_owned(),
        started_ms: now_ms(),
    };
    let entry = |key: &str| {
        let entry = CronState::new(CronFacts {
            name: "report".to_owned(),
            key: key.to_owned(),
            expression: "@daily".to_owned(),
            timezone: "UTC".to_owned(),
            exec_cmd: "c".to_owned(),
        });
        entry.started("u", now_ms(), 7);
        entry.ended("v", "failed", "{}");
        entry
    };
    let delay = DelayState::new();
    delay.counted(3, Some(now_ms() - 60_000));
    let queues = (0..queues).map(|n| queue(format!("queue {n}"))).collect();
    let cron = vec![entry("k1"), entry("k2")];
    let state = State::new(identity, queues, cron, delay);
    *state.dead_letters.lock() = Some(100_001);
    state.sample(now_ms());
    Arc::new(HttpConfig {
        settings,
        state,
        db: db.db.clone(),
        liveness: Arc::new(Liveness::new(Duration::from_secs(5))),
        sources: Vec::new(),
        pools: PoolOrders::default(),
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
    let source = include_str!("routes.rs");
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
    let description = description();
    let schemas = &description["components"]["schemas"];
    let mut seen = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let content = &methods["get"]["responses"]["200"]["content"];
        let Some(json) = content.get("application/json") else {
            continue;
        };
        let uri = path.replace("{name}", "queue%201").replace("{key}", "k2");
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
        "/",
        "/api",
    ] {
        let (status, body) = ask!(config, Entrance::Socket, TestRequest::get().uri(path));
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert!(fault["error"].is_string());
    }
    let order = |path| TestRequest::post().uri(path);
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

#[actix_rt::test]
async fn a_thousand_queues_are_scraped_at_once() {
    let db = TestDb::start();
    let config = config(&db, 1000, HttpSettings::default());
    // Once for what is made at the first call.
    let text = metrics::text(&config).unwrap();
    let begun = Instant::now();
    let again = metrics::text(&config).unwrap();
    let took = begun.elapsed();
    println!(
        "1,000 queues: {} kB of metrics in {took:?}",
        again.len() / 1000
    );
    assert!(took < SHARED_MACHINE, "{took:?}");
    for line in [
        "# TYPE simplest_script_queue_messages_total counter",
        "simplest_script_queue_messages_total{queue=\"queue 999\",outcome=\"completed\"} 0",
        "simplest_script_queue_lag{queue=\"queue 0\"} 11",
        "simplest_script_cron_fires_total{entry=\"report (2)\",outcome=\"failed\"} 1",
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
    config.state.queues[0].lag_checked(Some(1), false, 1);
    config.state.cron[0].ended("u", "success", "{}");
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

#[actix_rt::test]
async fn what_is_wrong_is_said_in_words() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let found = wrong::wrong(&config.state, &["it is starting".to_owned()], now_ms());
    let texts: Vec<&str> = found.iter().map(|wrong| wrong.text.as_str()).collect();
    for part in [
        "it is starting",
        "lag 11 or more is above 10 at full size, 4 of 4 consumers",
        "3 tasks wait, the oldest 60 s past its time",
        "the last run did not end well: failed: {}",
        "100,000+ dead letters",
    ] {
        assert!(
            texts.iter().any(|text| text.contains(part)),
            "{part}: {texts:?}"
        );
    }
}
