//! The routes in this process: what they answer, against `openapi.json`, and how long it takes.

use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::guard::Entrance;
use super::routes::Asked;
use super::*;
use crate::state::{
    CronFacts, CronState, DelayState, FailureCause, Identity, QueueFacts, QueueState, State,
};
use crate::stop::StopSignal;
use crate::testing_support::TestDb;

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

// After the macro, which they use.
mod described;
mod entrances;
mod judged;
mod scraping;
