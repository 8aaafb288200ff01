//! The delay queue on a real SQLite file, on a paused clock that the time of day follows.

mod capacity;
mod clock;
mod pushing;
mod replacing;
mod running;
mod stopping;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    AwaitEnd, Crash, DelayConfig, DelayQueueActor, Push, PushError, PushItem, RunningTasks, Stats,
    TaskRules,
};
use crate::clock::now_ms;
use crate::job::{Handler as JobHandler, JobResult, Task};
use crate::membership::Liveness;
use crate::orders::{PauseKind, Pauses};
use crate::poison::Quarantines;
use crate::stop::StopSignal;
use crate::store::rows::PauseRow;
use crate::testing_support::{Barrier, Crowd, Deaths, Seen, TestDb, rules, soon};
use crate::workers::Workers;

const OWNER: &str = "script1/here";

/// What a handler saw: params, attempt, and how late it was.
type Ran = (String, u32, i64);

struct World {
    db: TestDb,
    ran: Seen<Ran>,
    crowd: Crowd,
    /// Closed: tasks whose params begin with `wait` wait.
    barrier: Barrier,
    deaths: Deaths,
    pauses: Pauses,
    config: Arc<DelayConfig>,
    /// The daemon's.
    stop: StopSignal,
    actor: Addr<DelayQueueActor>,
}

impl World {
    async fn start() -> Self {
        Self::with(1000, Duration::from_secs(3600)).await
    }

    async fn with(concurrency: u32, interval: Duration) -> Self {
        let world = Self::before_the_first_poll(concurrency, interval);
        // Until the first poll is over.
        sleep(Duration::from_millis(10)).await;
        world
    }

    fn before_the_first_poll(concurrency: u32, interval: Duration) -> Self {
        tokio::time::pause();
        let (ran, crowd, barrier) = (Seen::new(), Crowd::default(), Barrier::closed());
        let handler = handler(&ran, &crowd, &barrier);
        let pauses = Pauses::default();
        let config = Arc::new(DelayConfig {
            owner: OWNER.to_owned(),
            liveness: Arc::new(Liveness::new(interval)),
            handlers: [("job".to_owned(), handler)].into(),
            rules: BTreeMap::new(),
            default_rules: TaskRules {
                timeout: Some(Duration::from_secs(600)),
                retry: rules(),
            },
            slots: None,
            quarantines: Quarantines::default(),
            workers: Arc::new(Workers::here()),
            concurrency,
            running: RunningTasks::default(),
            stats: Stats::default(),
            paused: pauses.flag(PauseKind::Delay, ""),
            state: crate::state::DelayState::new(),
        });
        let (db, deaths, stop) = (TestDb::start(), Deaths::new(), StopSignal::new());
        let actor = actor(&db, &config, &stop, &deaths);
        Self {
            db,
            ran,
            crowd,
            barrier,
            deaths,
            pauses,
            config,
            stop,
            actor,
        }
    }

    /// Sets what the rows of pauses are read as.
    fn set_paused(&self, is_paused: bool) {
        let row = PauseRow {
            kind: "delay".to_owned(),
            name: String::new(),
            since_ms: 0,
            until_ms: None,
            ordered_by: "ann".to_owned(),
        };
        self.pauses.learn(Vec::from_iter(is_paused.then_some(row)));
    }

    async fn push(&self, items: Vec<PushItem>) -> Result<Vec<i64>, PushError> {
        self.actor.send(Push(items)).await.unwrap()
    }

    async fn push_one(&self, params: &str, delay_time: i64) -> i64 {
        self.push(vec![item(params, delay_time)]).await.unwrap()[0]
    }

    /// Rows as another program inserts them.
    fn foreign(&self, n: u32, exec_cmd: &str, params: &str, exec_time: i64) {
        self.db.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
             INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
             SELECT 'theirs', '{exec_cmd}', '{params}', 1, {exec_time} FROM n"
        ));
    }

    fn in_status(&self, status: i64) -> i64 {
        self.db.number(&format!(
            "SELECT count(*) AS n FROM delay_queue_log WHERE status = {status}"
        ))
    }

    /// Waits until this many rows are in that status.
    async fn until(&self, status: i64, rows: i64) {
        soon(async {
            while self.in_status(status) < rows {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn crash(&mut self) {
        let deaths = self.deaths.count();
        self.actor.do_send(Crash);
        self.deaths.wait_for(deaths + 1).await;
    }

    fn replace(&mut self) {
        self.actor = actor(&self.db, &self.config, &self.stop, &self.deaths);
    }

    async fn stop_within(&self, limit: Duration) -> usize {
        self.stop.stop(Instant::now() + limit);
        self.actor.send(AwaitEnd).await.unwrap()
    }

    fn params(&self) -> Vec<String> {
        self.ran
            .all()
            .into_iter()
            .map(|(params, ..)| params)
            .collect()
    }
}

fn actor(
    db: &TestDb,
    config: &Arc<DelayConfig>,
    stop: &StopSignal,
    deaths: &Deaths,
) -> Addr<DelayQueueActor> {
    let (config, stop) = (Arc::clone(config), stop.listen());
    DelayQueueActor::start_scheduler(db.db.clone(), config, stop, deaths.notice())
}

fn item(params: &str, delay_time: i64) -> PushItem {
    PushItem {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        delay_time,
        ..PushItem::default()
    }
}

fn handler(ran: &Seen<Ran>, crowd: &Crowd, barrier: &Barrier) -> JobHandler<Task, Value> {
    let (ran, crowd, barrier) = (ran.clone(), crowd.clone(), barrier.clone());
    JobHandler::of(move |task: Task| {
        let (ran, crowd, barrier) = (ran.clone(), crowd.clone(), barrier.clone());
        Box::pin(async move {
            let _inside = crowd.enter();
            let late = now_ms() - task.due.timestamp_millis();
            ran.note((task.params.clone(), task.attempt, late));
            outcome(&task, &barrier).await
        })
    })
}

async fn outcome(task: &Task, barrier: &Barrier) -> JobResult<Value> {
    if task.params.starts_with("wait") {
        barrier.pass().await;
    }
    if task.params == "fail" || (task.params == "fail once" && task.attempt == 1) {
        return Err("as the test wants it".into());
    }
    if let Some(seconds) = task.params.strip_prefix("sleep ") {
        let seconds = seconds.split(' ').next().unwrap().parse().unwrap();
        sleep(Duration::from_secs(seconds)).await;
    }
    assert!(task.params != "panic", "as the test wants it");
    Ok(json!(task.params))
}

fn second() -> i64 {
    now_ms().div_euclid(1000)
}
