//! The delay queue on a real SQLite file, on a paused clock that the time of day follows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Crash, DelayConfig, DelayQueueActor, Push, PushError, PushItem, Quiet, RunningTasks, Stats,
    Stop, TaskRules,
};
use crate::clock::{jumps, now_ms};
use crate::job::{Handler as JobHandler, JobResult, Task};
use crate::membership::Liveness;
use crate::orders::{PauseKind, Pauses};
use crate::poison::Quarantines;
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
        let (db, deaths) = (TestDb::start(), Deaths::new());
        let actor = actor(&db, &config, &deaths);
        Self {
            db,
            ran,
            crowd,
            barrier,
            deaths,
            pauses,
            config,
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
        self.actor = actor(&self.db, &self.config, &self.deaths);
    }

    async fn stop_within(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        self.actor.send(Stop { deadline }).await.unwrap()
    }

    fn params(&self) -> Vec<String> {
        self.ran
            .all()
            .into_iter()
            .map(|(params, ..)| params)
            .collect()
    }
}

fn actor(db: &TestDb, config: &Arc<DelayConfig>, deaths: &Deaths) -> Addr<DelayQueueActor> {
    DelayQueueActor::start_scheduler(db.db.clone(), Arc::clone(config), deaths.notice())
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

#[actix::test]
async fn a_task_runs_at_its_time_and_ends_in_its_row() {
    let world = World::start().await;
    let id = world.push_one("later", 30).await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(world.ran.len(), 0);
    let ran = world.ran.wait_for(1).await;
    assert!((0..=5).contains(&ran[0].2), "late by {} ms", ran[0].2);
    world.until(3, 1).await;
    let rows = world.db.lines(&format!(
        "SELECT name || '|' || result || '|' || owner AS line FROM delay_queue_log WHERE id = {id}"
    ));
    assert_eq!(rows, [r#"n|{"status":true,"data":"later"}|"#]);
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
}

#[actix::test]
async fn what_is_pushed_for_the_next_two_seconds_needs_no_claim() {
    let world = World::start().await;
    world.push(vec![item("a", 0), item("b", 1)]).await.unwrap();
    let claimed = world
        .db
        .lines("SELECT owner || '|' || fence || '|' || status AS line FROM delay_queue_log WHERE params = 'b'");
    assert_eq!(claimed, [format!("{OWNER}|1|2")]);
    world.push(vec![item("c", 10)]).await.unwrap();
    let ran = world.ran.wait_for(2).await;
    assert!(ran.iter().all(|(.., late)| *late <= 5), "{ran:?}");
    world.until(3, 2).await;
    assert_eq!(
        world
            .db
            .number("SELECT max(fence) AS n FROM delay_queue_log"),
        1
    );
}

#[actix::test]
async fn a_push_is_refused_whole() {
    let world = World::start().await;
    let mut wrong = item("b", 0);
    wrong.exec_cmd = "jbo".to_owned();
    let refused = world.push(vec![item("a", 0), wrong]).await;
    assert!(matches!(refused, Err(PushError::Item { index: 1, .. })));
    assert_eq!(world.push(Vec::new()).await.unwrap(), Vec::<i64>::new());
    let marker = world.push_one("marker", 0).await;
    world.ran.wait_for(1).await;
    assert_eq!((world.params(), marker), (vec!["marker".to_owned()], 1));
}

#[actix::test]
async fn a_push_with_a_known_idempotency_key_makes_no_second_task() {
    let world = World::start().await;
    let keyed = |key: &str, params: &str, delay_time| PushItem {
        idempotency_key: Some(key.to_owned()),
        ..item(params, delay_time)
    };
    let first = world.push(vec![keyed("a", "now", 0), item("b", 0)]).await;
    let first = first.unwrap();
    world.ran.wait_for(2).await;
    let again = vec![keyed("c", "c", 0), keyed("a", "now", 0)];
    let again = world.push(again).await.unwrap();
    assert_eq!((again.len(), again[1]), (2, first[0]));
    world.ran.wait_for(3).await;
    world.until(3, 3).await;
    let mut params = world.params();
    params.sort_unstable();
    assert_eq!(params, ["b", "c", "now"]);

    for (other, what) in [
        (keyed("a", "other", 0), "`params`"),
        (keyed("a", "now", 1), "`due`"),
        (
            PushItem {
                name: "m".to_owned(),
                ..keyed("a", "now", 0)
            },
            "`name`",
        ),
    ] {
        let refused = world.push(vec![item("x", 0), other]).await.unwrap_err();
        assert!(
            matches!(refused, PushError::Key { index: 1, .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(what), "{refused}");
    }
    for (wrong, what) in [
        (
            vec![keyed("d", "x", 0), keyed("d", "x", 0)],
            "an earlier item",
        ),
        (vec![keyed(" d", "x", 0)], "no idempotency key"),
    ] {
        let refused = world.push(wrong).await.unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
    // What a refused list had reserved is free again: a task that is due now needs no claim.
    let marker = world.push_one("marker", 0).await;
    let ran = world.ran.wait_for(4).await;
    assert_eq!(ran[3].0, "marker");
    let fence = format!("SELECT fence AS n FROM delay_queue_log WHERE id = {marker}");
    assert_eq!(world.db.number(&fence), 1);
}

#[actix::test]
async fn an_earlier_task_pushed_later_runs_first() {
    let world = World::start().await;
    world.push_one("second", 2).await;
    world.push_one("third", 100).await;
    world.push_one("first", 1).await;
    let ran = world.ran.wait_for(3).await;
    assert_eq!(world.params(), ["first", "second", "third"]);
    assert!(
        ran.iter().all(|(.., late)| (0..=5).contains(late)),
        "{ran:?}"
    );
}

/// Many more than are handed to the workers at once.
#[actix::test]
async fn all_that_is_due_at_one_moment_starts_then() {
    let world = World::start().await;
    world.foreign(300, "job", "theirs", now_ms() / 1000 + 3);
    let ran = world.ran.wait_for(300).await;
    assert_eq!(ran.len(), 300);
    assert!(
        ran.iter().all(|(.., late)| (0..=5).contains(late)),
        "{ran:?}"
    );
}

#[actix::test]
async fn a_failed_task_is_retried_and_then_dead() {
    let world = World::start().await;
    world
        .push(vec![
            item("fail", 0),
            item("fail once", 0),
            item("panic", 0),
        ])
        .await
        .unwrap();
    world.until(4, 2).await;
    world.until(3, 1).await;
    let mut ran: Vec<(String, u32)> = world
        .ran
        .all()
        .into_iter()
        .map(|(p, n, _)| (p, n))
        .collect();
    ran.sort();
    let expected = [
        ("fail", 1),
        ("fail", 2),
        ("fail", 3),
        ("fail once", 1),
        ("fail once", 2),
        ("panic", 1),
        ("panic", 2),
        ("panic", 3),
    ];
    assert!(
        ran.iter().map(|(p, n)| (p.as_str(), *n)).eq(expected),
        "{ran:?}"
    );
    let dead_letters = world.db.lines(
        "SELECT payload || '|' || attempts || '|' || exec_cmd AS line FROM dead_letter ORDER BY payload",
    );
    assert_eq!(dead_letters, ["fail|3|job", "panic|3|job"]);
}

#[actix::test]
async fn rows_of_other_programs_run_within_a_second() {
    let world = World::start().await;
    world.foreign(1, "job", "now", second());
    let begun = Instant::now();
    world.ran.wait_for(1).await;
    assert!(begun.elapsed() <= Duration::from_secs(1));
    world.foreign(1, "job", "old", 1);
    let begun = Instant::now();
    world.ran.wait_for(2).await;
    assert!(
        begun.elapsed() <= Duration::from_millis(1300),
        "{:?}",
        begun.elapsed()
    );
}

#[actix::test]
async fn an_unknown_command_of_another_program_is_a_dead_letter_without_a_call() {
    let world = World::start().await;
    world.foreign(1, "jbo", "x", second());
    world.until(4, 1).await;
    let dead_letters = world
        .db
        .lines("SELECT exec_cmd || '|' || error AS line FROM dead_letter");
    assert!(
        dead_letters[0].contains("did you mean `job`"),
        "{dead_letters:?}"
    );
    assert_eq!(world.ran.len(), 0);
}

#[actix::test]
async fn overdue_rows_take_half_of_the_room() {
    let world = World::before_the_first_poll(20, Duration::from_secs(3600));
    world.foreign(100, "job", "wait old", second() - 30);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.crowd.now(), 10);
    assert_eq!(world.in_status(2), 10, "no more is claimed than may run");
    world.push_one("new", 0).await;
    world.ran.wait_for(11).await;
    world.barrier.open();
    world.until(3, 101).await;
    assert!(world.crowd.most() <= 20);
}

#[actix::test]
async fn never_more_run_at_once_than_there_is_room_for() {
    let world = World::with(10, Duration::from_secs(3600)).await;
    let pushes = (0..10).map(|_| world.push((0..20).map(|_| item("wait", 0)).collect()));
    for pushed in futures_util::future::join_all(pushes).await {
        pushed.unwrap();
    }
    world.foreign(50, "job", "wait", second());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.crowd.now(), 10);
    assert!(world.in_status(2) <= 20);
    world.barrier.open();
    world.until(3, 250).await;
    assert_eq!(world.crowd.most(), 10);
    assert_eq!(world.ran.len(), 250, "each once");
}

#[actix::test]
async fn quiet_gives_back_what_waits_and_takes_nothing_new() {
    let world = World::start().await;
    world
        .push(vec![item("wait", 0), item("soon", 1)])
        .await
        .unwrap();
    world.ran.wait_for(1).await;
    world.actor.send(Quiet).await.unwrap();
    world.until(1, 1).await;
    let waits = world.push_one("during the stop", 0).await;
    assert!(waits > 0, "taken, for the next daemon");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.ran.len(), 1);
    assert_eq!((world.in_status(1), world.in_status(2)), (2, 1));
    world.barrier.open();
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
    assert_eq!((world.in_status(1), world.in_status(3)), (2, 1));
}

#[actix::test]
async fn a_paused_queue_takes_tasks_and_starts_none_until_it_is_resumed() {
    let world = World::start().await;
    world.push_one("waits until the barrier opens", 0).await;
    world.ran.wait_for(1).await;
    // Claimed and not due yet.
    world.push_one("soon", 1).await;
    world.set_paused(true);
    sleep(Duration::from_millis(10)).await;
    world.push_one("now", 0).await;
    world.foreign(3, "job", "theirs", now_ms() / 1000);
    world.barrier.open();
    world.until(3, 1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.params().len(), 1, "{:?}", world.params());
    let claimed = "SELECT count(*) AS n FROM delay_queue_log WHERE owner <> ''";
    assert_eq!(
        world.db.number(claimed),
        0,
        "nothing is held while it is paused"
    );
    world.set_paused(false);
    world.until(3, 6).await;
    assert_eq!(world.ran.len(), 6);
}

#[actix::test]
async fn a_stop_gives_back_what_still_runs_at_its_deadline() {
    let world = World::start().await;
    world.push(vec![item("wait", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    let begun = Instant::now();
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(world.in_status(1), 1);
    let attempts = world.db.number("SELECT attempts AS n FROM delay_queue_log");
    assert_eq!(attempts, 0, "the attempt does not count");
}

#[actix::test]
async fn a_stop_before_the_first_look_ends_at_once() {
    let world = World::before_the_first_poll(10, Duration::from_secs(3600));
    world.foreign(5, "job", "x", second());
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    sleep(Duration::from_secs(60)).await;
    assert_eq!((world.ran.len(), world.in_status(2)), (0, 0));
}

#[actix::test]
async fn nothing_starts_while_the_heartbeats_are_late() {
    let world = World::with(10, Duration::ZERO).await;
    world.push_one("x", 0).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.ran.len(), 0);
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    assert_eq!(world.in_status(1), 1);
}

#[actix::test]
async fn what_was_claimed_before_a_judged_death_does_not_start() {
    let world = World::start().await;
    world.push_one("x", 1).await;
    world.config.liveness.was_dead(crate::clock::Moment::now());
    let begun = Instant::now();
    let ran = world.ran.wait_for(1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(ran.len(), 1, "by a new claim");
    world.until(3, 1).await;
    assert_eq!(world.db.number("SELECT fence AS n FROM delay_queue_log"), 2);
}

#[actix::test]
async fn a_replaced_actor_gives_back_what_waits_and_leaves_alone_what_runs() {
    let mut world = World::start().await;
    world
        .push(vec![item("wait", 0), item("soon", 2)])
        .await
        .unwrap();
    world.ran.wait_for(1).await;
    world.crash().await;
    assert_eq!(world.in_status(2), 2);
    world.replace();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.params(), ["wait", "soon"]);
    world.barrier.open();
    world.until(3, 2).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.ran.len(), 2, "each once");
    assert_eq!(world.in_status(2), 0);
}

#[actix::test]
async fn a_stop_after_a_replacement_ends_with_the_last_task() {
    let mut world = World::start().await;
    world.push(vec![item("wait", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    world.crash().await;
    world.replace();
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(25);
    let stop = world.actor.send(Stop { deadline });
    world.barrier.open();
    assert_eq!(stop.await.unwrap(), 0);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.in_status(3), 1);
}

#[actix::test]
async fn crashes_at_any_moment_lose_nothing_and_leave_nothing_claimed() {
    let mut world = World::start().await;
    let mut pushed = 0;
    for round in 0..20_u64 {
        let items = (0..10).map(|n| item("x", n % 3)).collect();
        let push = world.actor.send(Push(items));
        let (steps, actor) = (round * 3, world.actor.clone());
        let crash = async move {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            sleep(Duration::from_millis(round * 7)).await;
            actor.do_send(Crash);
        };
        let (answer, ()) = tokio::join!(push, crash);
        pushed += answer.map_or(0, |ids| ids.unwrap().len());
        let deaths = usize::try_from(round + 1).unwrap();
        world.deaths.wait_for(deaths).await;
        world.replace();
    }
    sleep(Duration::from_secs(30)).await;
    let rows = world.db.number("SELECT count(*) AS n FROM delay_queue_log");
    assert!(rows >= i64::try_from(pushed).unwrap());
    assert_eq!((world.in_status(3), world.in_status(2)), (rows, 0));
    assert_eq!(world.ran.len(), usize::try_from(rows).unwrap(), "each once");
}

/// A poll begins, and while it is under way orphaned claims are to be released, as after a push that failed.
#[derive(Message)]
#[rtype(result = "()")]
struct OrphansDuringAPoll;

impl Handler<OrphansDuringAPoll> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: OrphansDuringAPoll, ctx: &mut Self::Context) {
        let scheduler = self.scheduler().unwrap();
        scheduler.poll_ahead(ctx);
        scheduler.release_orphans(ctx);
    }
}

#[actix::test]
async fn orphans_that_wait_for_a_poll_do_not_end_the_polling() {
    let world = World::start().await;
    world.actor.send(OrphansDuringAPoll).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    world.foreign(1, "job", "x", now_ms() / 1000);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.in_status(3), 1);
}

#[actix::test]
async fn it_knows_how_late_its_tasks_start_and_what_waits() {
    let world = World::start().await;
    let stats = &world.config.stats;
    assert_eq!(stats.counts(), None, "not counted yet");
    world.foreign(5, "job", "late", now_ms().div_euclid(1000) - 7);
    world.until(3, 5).await;
    let due_ms = now_ms() + 3_600_000;
    world.push_one("later", 3600).await;
    let lateness = stats.lateness(now_ms());
    assert_eq!(lateness.started, 5);
    assert!((7000..9000).contains(&lateness.worst_ms), "{lateness:?}");
    let counts = soon(async {
        loop {
            if let Some(counts) = stats.counts() {
                return counts;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(counts.waiting, 1);
    assert!((0..1000).contains(&(counts.oldest_due_ms.unwrap() - due_ms)));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        stats.lateness(now_ms()).started,
        0,
        "that was more than a minute ago"
    );
    assert_eq!(world.stop_within(Duration::from_secs(5)).await, 0);
}

/// As after a judged death: the row is free, and claims of before are not trusted.
#[actix::test]
async fn the_end_of_a_lost_claim_leaves_a_later_one_of_its_row_alone() {
    let mut world = World::start().await;
    world.push(vec![item("sleep 20", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    sleep(Duration::from_secs(10)).await;
    world
        .db
        .sql("UPDATE delay_queue_log SET status = 1, owner = ''");
    world.config.liveness.was_dead(crate::clock::Moment::now());
    world.ran.wait_for(2).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(
        world.config.running.claims(),
        [(1, 2)],
        "the first has ended, and did not count"
    );
    world.crash().await;
    world.replace();
    sleep(Duration::from_secs(5)).await;
    assert_eq!((world.in_status(2), world.ran.len()), (1, 2));
    world.until(3, 1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.ran.len(), 2);
}

/// Rows due evenly from now on, as our own pushes leave them.
fn load(world: &World, a_second: u32, seconds: u32, params: &str) {
    let from_ms = (second() + 1) * 1000;
    let rows = a_second * seconds;
    world.db.sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
         INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, due_ms)
         SELECT 'load', 'job', '{params}', 1, ({from_ms} + i * 1000 / {a_second}) / 1000, {from_ms} + i * 1000 / {a_second} FROM n"
    ));
}

/// Runs `overdue` tasks that are overdue, and others that become due evenly, `a_second` each second, with room for 40.
/// Returns how many of the former ran within `seconds`, and how late each of the latter was.
async fn both_kinds(
    (overdue, params): (u32, &str),
    a_second: u32,
    seconds: u32,
) -> (World, usize, Vec<i64>) {
    let world = World::with(40, Duration::from_secs(3600)).await;
    world.foreign(overdue, "job", params, second() - 30);
    load(&world, a_second, seconds, &format!("{params} "));
    sleep(Duration::from_secs(u64::from(seconds))).await;
    let ran = world.ran.all();
    let ran_late = ran.iter().filter(|(of, ..)| of == params).count();
    let on_time = ran.iter().filter(|(of, ..)| of != params);
    let mut late: Vec<i64> = on_time.map(|(.., late)| *late).collect();
    late.sort_unstable();
    (world, ran_late, late)
}

/// Tasks that take no time: what limits is the room of what is claimed ahead, which carries 40 rows a second.
async fn overdue_drain_and_others_are_on_time(a_second: u32) {
    let (world, overdue, late) = both_kinds((400, ""), a_second, 20).await;
    assert_eq!(overdue, 400);
    let due_by_then = usize::try_from(a_second * 18).unwrap();
    assert!(late.len() >= due_by_then, "{}", late.len());
    let (p50, p99) = (late[late.len() / 2], late[late.len() * 99 / 100]);
    assert!(p50 <= 5 && p99 <= 20, "p50 {p50} ms, p99 {p99} ms");
    drop(world);
}

#[actix::test]
async fn overdue_rows_drain_and_others_are_on_time_at_half_the_load() {
    overdue_drain_and_others_are_on_time(20).await;
}

#[actix::test]
async fn overdue_rows_drain_and_others_are_on_time_at_the_load_that_room_carries() {
    overdue_drain_and_others_are_on_time(40).await;
}

#[actix::test]
async fn overdue_rows_drain_and_others_are_on_time_at_twice_that_load() {
    overdue_drain_and_others_are_on_time(80).await;
}

/// Tasks of a second each: what limits is the room of what runs, which carries 40 rows a second.
async fn overdue_have_a_share(a_second: u32, overdue: std::ops::RangeInclusive<usize>) {
    let (world, ran, late) = both_kinds((4000, "sleep 1"), a_second, 40).await;
    let others = late.len();
    assert!(overdue.contains(&ran), "{ran} overdue, {others} on time");
    let wanted = usize::try_from(a_second.min(20) * 37).unwrap();
    assert!(others >= wanted, "{ran} overdue, {others} on time");
    assert!(world.crowd.most() <= 40);
}

#[actix::test]
async fn overdue_rows_have_half_of_a_room_that_is_half_loaded() {
    overdue_have_a_share(20, 600..=820).await;
}

#[actix::test]
async fn overdue_rows_have_a_quarter_of_a_room_that_is_fully_loaded() {
    overdue_have_a_share(40, 300..=600).await;
}

#[actix::test]
async fn overdue_rows_have_a_quarter_of_a_room_that_is_loaded_twice() {
    overdue_have_a_share(80, 300..=600).await;
}

#[actix::test]
async fn claimed_rows_that_find_no_room_are_released_for_others() {
    let world = World::with(10, Duration::from_secs(3600)).await;
    world
        .push((0..8).map(|_| item("wait", 0)).collect())
        .await
        .unwrap();
    world.foreign(20, "job", "wait", second() + 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((world.crowd.now(), world.in_status(2)), (10, 10));
    let fences = world
        .db
        .number("SELECT sum(fence) AS n FROM delay_queue_log");
    sleep(Duration::from_secs(60)).await;
    let later = world
        .db
        .number("SELECT sum(fence) AS n FROM delay_queue_log");
    assert_eq!(later, fences, "nothing is claimed while nothing ends");
    world.barrier.open();
    world.until(3, 28).await;
    assert_eq!(world.ran.len(), 28, "each once");
}

#[actix::test]
async fn retries_that_a_clock_ahead_has_put_off_run_when_it_is_set_right() {
    let world = World::start().await;
    let ahead_s = second() + 86_400;
    world.db.sql(&format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, attempts, exec_time, due_ms)
         VALUES ('n', 'job', 'failed before', 1, 1, {ahead_s}, {ahead_s}000)"
    ));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.ran.len(), 0);
    jumps::jump(-10);
    let begun = Instant::now();
    world.ran.wait_for(1).await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    world.until(3, 1).await;
}

#[actix::test]
async fn what_was_claimed_by_a_clock_ahead_runs_when_it_is_set_right() {
    let world = World::start().await;
    world.foreign(1, "job", "x", second() + 31);
    jumps::jump(29);
    world.until(2, 1).await;
    jumps::jump(-29);
    world.until(1, 1).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.ran.len(), 0);
    world.ran.wait_for(1).await;
}

#[actix::test]
async fn tasks_whose_ends_are_refused_keep_no_place_and_no_stop_waits_for_them() {
    let world = World::with(4, Duration::from_secs(3600)).await;
    world.db.sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON delay_queue_log WHEN NEW.status = 3 AND NEW.params = 'bad'
         BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END",
    );
    world.foreign(8, "job", "bad", second());
    world.ran.wait_for(8).await;
    world.foreign(20, "job", "good", second());
    world.until(3, 20).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!((world.ran.len(), world.in_status(2)), (28, 8), "each once");
    let begun = Instant::now();
    assert_eq!(world.stop_within(Duration::from_secs(600)).await, 0);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
