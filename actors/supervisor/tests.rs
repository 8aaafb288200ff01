//! The whole daemon but its processes, on one thread and a paused clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::sleep;

use super::children::Children;
use super::{BeginStop, Child, LiveQueue, Plan, Retention, SupervisorActor};
use crate::alert::own::{Disks, Memory, OwnAlerts};
use crate::config::{AlertRules, HttpSettings, Partition};
use crate::consumer::Work;
use crate::cron::{self, Backlog, CronConfig, StartingFires, WatchedRuns};
use crate::db::Db;
use crate::delay_queue::{
    self, DelayConfig, DelayQueueHandle, Push, PushItem, RunningTasks, Stats, TaskRules,
};
use crate::http::{DatabaseCheck, Files, HttpConfig, PoolOrders, Socket};
use crate::job::{Handler as JobHandler, OwnCode, Task};
use crate::membership::Liveness;
use crate::membership::Owner;
use crate::own_code;
use crate::poison::Quarantines;
use crate::poison::SlotFile;
use crate::pool::{self, PoolConfig};
use crate::source::Consumed;
use crate::source::TableSource;
use crate::state::{Identity, State};
use crate::stop::StopSignal;
use crate::store::rows::{BootRow, EntryName, Inspection, NewMessage};
use crate::store::{DbError, Reader, Store, Writer};
use crate::testing_support::{Barrier, Seen, TestDb, limits, queue_entry, single, soon};
use crate::workers::Workers;

const INTERVAL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(25);

/// The addresses of the children as they are now.
#[derive(Message)]
#[rtype(result = "Children")]
struct GetChildren;

impl Handler<GetChildren> for SupervisorActor {
    type Result = MessageResult<GetChildren>;

    fn handle(&mut self, _: GetChildren, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.children.clone())
    }
}

/// A database that can be away.
struct Remote {
    store: Arc<dyn Store>,
    away: Arc<AtomicBool>,
}

impl Store for Remote {
    fn address(&self) -> String {
        self.store.address()
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        self.store.migrate()
    }

    fn statements(&self) -> String {
        self.store.statements()
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        self.store.inspect()
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        if self.away.load(Ordering::SeqCst) {
            return async { Err(DbError::Away("as the test wants it".to_owned())) }.boxed_local();
        }
        self.store.writer()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }
}

/// A daemon with one queue and one kind of delayed task.
struct World {
    files: TestDb,
    db: Db,
    away: Arc<AtomicBool>,
    ran: Seen<String>,
    /// Closed: jobs that begin with `wait` wait.
    barrier: Barrier,
    owner: String,
    delay_queue: DelayQueueHandle,
    supervisor: Addr<SupervisorActor>,
}

impl World {
    fn start(away: bool) -> Arc<Self> {
        tokio::time::pause();
        let files = TestDb::start();
        let away = Arc::new(AtomicBool::new(away));
        let store = Arc::new(Remote {
            store: Arc::clone(&files.store),
            away: Arc::clone(&away),
        });
        let (ran, barrier) = (Seen::new(), Barrier::closed());
        let owner = Owner::new("script1".parse::<Partition>().unwrap());
        let plan = plan(&files, store, &owner, &ran, &barrier);
        let (db, delay_queue) = (plan.db.clone(), plan.delay_queue.clone());
        let mut actor = SupervisorActor::new(plan, StopSignal::new());
        actor.children.db_arbiter = Some(Arbiter::current());
        Arc::new(Self {
            files,
            db,
            away,
            ran,
            barrier,
            owner: owner.to_string(),
            delay_queue,
            supervisor: actor.start(),
        })
    }

    async fn children(&self) -> Children {
        soon(async {
            loop {
                let children = self.supervisor.send(GetChildren).await.unwrap();
                if children.cron.is_some() {
                    return children;
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn send(&self, payload: &str) {
        let row = NewMessage {
            payload: Bytes::from(payload.to_owned()),
            key: None,
            headers: Vec::new(),
        };
        self.db
            .insert_messages("t".to_owned(), vec![row])
            .await
            .unwrap();
    }

    async fn push(&self, params: &str) {
        let item = PushItem {
            exec_cmd: "job".to_owned(),
            params: params.to_owned(),
            ..PushItem::default()
        };
        let push = Push(vec![item]);
        self.delay_queue
            .get()
            .unwrap()
            .send(push)
            .await
            .unwrap()
            .unwrap();
    }

    fn boot_state(&self) -> i64 {
        let owner = &self.owner;
        self.files.number(&format!(
            "SELECT state AS n FROM boot WHERE owner = '{owner}'"
        ))
    }

    fn claimed(&self) -> i64 {
        self.files.number(
            "SELECT (SELECT count(*) FROM queue_message WHERE owner <> '')
                  + (SELECT count(*) FROM delay_queue_log WHERE status = 2) AS n",
        )
    }

    fn slot_files(&self) -> usize {
        let files = std::fs::read_dir(self.files.dir.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("running-")).count()
    }

    fn begin_stop(&self) {
        self.supervisor.do_send(BeginStop { reason: "a test" });
    }
}

/// A socket and no port.
fn http_config(db: &Db, liveness: &Arc<Liveness>, data_dir: &Path) -> HttpConfig {
    let identity = Identity {
        version: "0",
        environment: "dev".to_owned(),
        partition: "script1".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        boot: "b".to_owned(),
        started_ms: 1,
    };
    let delay = crate::state::DelayState::new();
    HttpConfig {
        settings: HttpSettings {
            listen: None,
            ..HttpSettings::default()
        },
        state: Arc::new(State::new(identity, Vec::new(), Vec::new(), delay)),
        db: db.clone(),
        database: DatabaseCheck::new(db.clone()),
        liveness: Arc::clone(liveness),
        sources: parking_lot::RwLock::default(),
        targets: Arc::default(),
        dead_letters: crate::http::DeadLetterJobs::default(),
        reloads: crate::reload::ReloadHandle::default(),
        pools: PoolOrders::default(),
        files: Files::empty(),
        socket: Socket::new(data_dir, "script1", "b"),
        started: AtomicBool::new(false),
    }
}

fn plan(
    files: &TestDb,
    store: Arc<dyn Store>,
    owner: &Owner,
    ran: &Seen<String>,
    barrier: &Barrier,
) -> Plan {
    let data_dir: PathBuf = files.dir.path().to_owned();
    let liveness = Arc::new(Liveness::new(INTERVAL));
    let slots = SlotFile::create(&data_dir, "script1", owner.boot()).unwrap();
    let (db, workers) = (Db::new(store.as_ref()), Arc::new(Workers::here()));
    let entry = EntryName {
        name: "q".to_owned(),
        exec_cmd: "job".to_owned(),
    };
    let source = TableSource::new(
        db.clone(),
        owner.to_string(),
        Arc::clone(&liveness),
        "t",
        entry,
    );
    let slots = Arc::new(slots);
    let http = Arc::new(http_config(&db, &liveness, &data_dir));
    let notifier = crate::alert::Notifier::silent();
    let own_alerts = OwnAlerts::new(crate::alert::own::Parts {
        rules: AlertRules::default(),
        notifier: notifier.clone(),
        state: Arc::clone(&http.state),
        disks: Disks::default(),
        db: db.clone(),
        memory: Memory::default(),
    });
    let work = Work {
        source: Arc::new(source),
        slots: Some(Arc::clone(&slots)),
        ..crate::testing_support::work(
            &crate::testing_support::FakeSource::new(),
            consumer(ran, barrier),
        )
    };
    Plan {
        started: std::time::Instant::now(),
        boot: BootRow {
            owner: owner.to_string(),
            partition: "script1".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            interval_ms: 5000,
            version: "0.1.0",
        },
        retention: Retention::default(),
        http,
        delay: Arc::new(DelayConfig {
            owner: owner.to_string(),
            liveness: Arc::clone(&liveness),
            handlers: [("job".to_owned(), delayed(ran, barrier))].into(),
            rules: BTreeMap::new(),
            default_rules: TaskRules::default(),
            slots: Some(Arc::clone(&slots)),
            quarantines: Quarantines::default(),
            workers: Arc::clone(&workers),
            concurrency: 100,
            running: RunningTasks::default(),
            stats: Stats::default(),
            paused: crate::orders::PauseFlag::default(),
            state: crate::state::DelayState::new(),
        }),
        delay_queue: DelayQueueHandle::default(),
        consumed: Consumed::default(),
        redis: Vec::new(),
        lists: std::collections::BTreeMap::new(),
        pools: vec![LiveQueue::new(
            queue_entry("q", "t"),
            PoolConfig {
                work,
                limits: limits(2, 2),
                lag_check_interval: Duration::from_secs(180),
                consumer_lease: Duration::from_secs(300),
                workers,
            },
        )],
        notifier,
        own_alerts,
        warnings: crate::supervisor::Warnings::silent(&db),
        ping: None,
        pauses: crate::orders::Pauses::default(),
        cron: CronConfig {
            db: db.clone(),
            liveness: Arc::clone(&liveness),
            partition: "script1".to_owned(),
            owner: owner.to_string(),
            entries: Vec::new(),
            misfire_grace: Duration::from_secs(10),
            program: PathBuf::from("/bin/false"),
            program_is_ours: false,
            environment: Vec::new(),
            runs: data_dir.join("runs"),
            output: crate::logs::OutputLogs::below(data_dir.join("output")),
            starting: StartingFires::default(),
            backlog: Backlog::default(),
            watched: WatchedRuns::default(),
            pinger: crate::alert::Pinger::idle(),
            pauses: crate::orders::Pauses::default(),
            orders: crate::orders::Orders::default(),
        },
        own_code: vec![OwnCode {
            place: "here".to_owned(),
            handler: JobHandler::of(|()| async { Ok(()) }.boxed_local()),
        }],
        shutdown_deadline: DEADLINE,
        queues: Vec::new(),
        hints: Vec::new(),
        store,
        db,
        liveness,
        data_dir,
        slots,
    }
}

/// A plan of which nothing is started.
pub(super) fn plan_of_a_daemon() -> (TestDb, Plan) {
    let files = TestDb::start();
    let owner = Owner::new("script1".parse::<Partition>().unwrap());
    let store = Arc::clone(&files.store);
    let plan = plan(&files, store, &owner, &Seen::new(), &Barrier::closed());
    (files, plan)
}

fn consumer(ran: &Seen<String>, barrier: &Barrier) -> crate::job::Consumer {
    let (ran, barrier) = (ran.clone(), barrier.clone());
    single(move |message| {
        let (ran, barrier) = (ran.clone(), barrier.clone());
        async move {
            let body = String::from_utf8(message.payload.to_vec()).unwrap();
            ran.note(body.clone());
            if body.starts_with("wait") {
                barrier.pass().await;
            }
            Ok(())
        }
    })
}

fn delayed(ran: &Seen<String>, barrier: &Barrier) -> JobHandler<Task, serde_json::Value> {
    let (ran, barrier) = (ran.clone(), barrier.clone());
    JobHandler::of(move |task: Task| {
        let (ran, barrier) = (ran.clone(), barrier.clone());
        Box::pin(async move {
            ran.note(task.params.clone());
            if task.params.starts_with("wait") {
                barrier.pass().await;
            }
            Ok(serde_json::Value::Null)
        })
    })
}

/// Runs the daemon with a test beside it, to the daemon's end. Answers its exit status.
fn run<Fut>(away: bool, test: fn(Arc<World>) -> Fut) -> (i32, Arc<World>)
where
    Fut: Future<Output = ()> + 'static,
{
    let system = System::new();
    let (world, done) = system.block_on(async move {
        let world = World::start(away);
        let done = Arc::new(AtomicBool::new(false));
        let (passed, beside) = (Arc::clone(&done), Arc::clone(&world));
        actix_rt::spawn(async move {
            let tested = std::panic::AssertUnwindSafe(test(beside))
                .catch_unwind()
                .await;
            passed.store(tested.is_ok(), Ordering::SeqCst);
            if tested.is_err() {
                System::current().stop_with_code(-1);
            }
        });
        (world, done)
    });
    let code = system.run_with_code().unwrap();
    assert!(
        done.load(Ordering::SeqCst),
        "the test beside the daemon failed"
    );
    (code, world)
}

#[test]
fn a_daemon_starts_works_and_stops_clean() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        assert_eq!(world.boot_state(), 1);
        world.send("message").await;
        world.push("task").await;
        world.ran.wait_for(2).await;
        world.begin_stop();
        world.begin_stop();
    });
    assert_eq!(code, 0);
    assert_eq!(
        (world.boot_state(), world.claimed(), world.slot_files()),
        (2, 0, 0)
    );
}

#[test]
fn a_stop_waits_for_what_runs_and_gives_back_the_rest() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.send("wait 1").await;
        world.push("wait 2").await;
        world.ran.wait_for(2).await;
        world.begin_stop();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(world.boot_state(), 1, "what runs has time");
        world.barrier.open();
    });
    assert_eq!((code, world.claimed()), (0, 0));
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM queue_message"),
        0
    );
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM delay_queue_log WHERE status = 3"),
        1
    );
}

#[test]
fn what_still_runs_at_the_deadline_is_given_back() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.send("wait 1").await;
        world.push("wait 2").await;
        world.ran.wait_for(2).await;
        world.begin_stop();
    });
    assert_eq!((code, world.claimed(), world.boot_state()), (0, 0, 2));
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM queue_message"),
        1
    );
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM delay_queue_log WHERE status = 1"),
        1
    );
}

/// Ends the supervisor as a panic of its own would.
#[derive(Message)]
#[rtype(result = "()")]
struct Crash;

impl Handler<Crash> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}

#[test]
fn the_daemon_ends_with_its_supervisor() {
    let (code, _) = run(false, |world| async move {
        world.children().await;
        world.supervisor.do_send(Crash);
    });
    assert_eq!(code, 1);
}

#[test]
fn a_stop_right_at_the_start_is_clean() {
    let (code, world) = run(false, |world| async move { world.begin_stop() });
    assert_eq!((code, world.slot_files()), (0, 0));
}

#[test]
fn a_stop_while_the_database_is_away_ends_at_the_deadline_and_says_so() {
    let (code, world) = run(true, |world| async move {
        let begun = tokio::time::Instant::now();
        sleep(Duration::from_secs(60)).await;
        world.begin_stop();
        assert!(begun.elapsed() >= Duration::from_secs(60));
    });
    assert_eq!(
        (code, world.slot_files()),
        (1, 1),
        "the next daemon finds its slots"
    );
}

#[test]
fn a_daemon_starts_when_its_database_comes_back() {
    let (code, world) = run(true, |world| async move {
        sleep(Duration::from_secs(600)).await;
        world.away.store(false, Ordering::SeqCst);
        world.children().await;
        world.send("message").await;
        world.ran.wait_for(1).await;
        world.begin_stop();
    });
    assert_eq!((code, world.boot_state()), (0, 2));
}

#[test]
fn every_child_that_dies_is_replaced() {
    let (code, world) = run(false, |world| async move {
        let children = world.children().await;
        let (id, pool) = children.pools.first_key_value().unwrap();
        let (id, pool) = (*id, pool.clone());
        for (round, child) in [
            Child::Alert,
            Child::Db,
            Child::DelayQueue,
            Child::Pool(id),
            Child::Cron,
            Child::Http,
            Child::OwnCode(0),
            Child::Db,
        ]
        .into_iter()
        .enumerate()
        {
            world.send(&format!("before {round}")).await;
            match child {
                Child::Alert => children
                    .alert
                    .as_ref()
                    .unwrap()
                    .do_send(crate::alert::own::Crash),
                Child::Db => world.db.crash_actor(),
                Child::DelayQueue => world.delay_queue.get().unwrap().do_send(delay_queue::Crash),
                Child::Pool(_) => pool.do_send(pool::Crash),
                Child::Cron => children.cron.as_ref().unwrap().do_send(cron::Crash),
                Child::Http => children.http.as_ref().unwrap().do_send(crate::http::Crash),
                Child::OwnCode(_) => children.own_code[0].do_send(own_code::Crash),
            }
            sleep(Duration::from_secs(10)).await;
            world.send(&format!("message {round}")).await;
            world.push(&format!("task {round}")).await;
            world.ran.wait_for(3 * (round + 1)).await;
        }
        let now = world.children().await;
        assert!(now.pools[&id].connected() && now.cron.unwrap().connected());
        assert!(now.own_code[0].connected() && now.alert.unwrap().connected());
        assert!(!pool.connected() && !children.own_code[0].connected());
        world.begin_stop();
    });
    assert_eq!((code, world.claimed(), world.boot_state()), (0, 0, 2));
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM queue_message"),
        0
    );
    assert_eq!(world.ran.len(), 24, "each once");
}

#[test]
fn replacements_come_slower_and_slower() {
    let (code, _) = run(false, |world| async move {
        world.children().await;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let addr = world.delay_queue.get().unwrap();
            addr.do_send(delay_queue::Crash);
            let died = tokio::time::Instant::now();
            soon(async {
                while world.delay_queue.get().unwrap() == addr {
                    sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            pauses.push(died.elapsed().as_millis() / 100);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
        world.begin_stop();
    });
    assert_eq!(code, 0);
}

#[test]
fn a_child_that_died_before_the_stop_is_not_replaced_and_not_waited_for() {
    let (code, world) = run(false, |world| async move {
        let children = world.children().await;
        children
            .pools
            .values()
            .for_each(|pool| pool.do_send(pool::Crash));
        children.cron.as_ref().unwrap().do_send(cron::Crash);
        crate::testing_support::settle_down().await;
        world.begin_stop();
    });
    assert_eq!((code, world.boot_state()), (0, 2));
}

#[test]
fn the_writer_is_replaced_during_a_stop_too() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.push("wait").await;
        world.ran.wait_for(1).await;
        world.begin_stop();
        sleep(Duration::from_secs(1)).await;
        world.db.crash_actor();
        sleep(Duration::from_millis(10)).await;
        world.barrier.open();
    });
    assert_eq!((code, world.boot_state(), world.claimed()), (0, 2, 0));
}

#[test]
fn what_a_silent_daemon_owned_runs_here() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.files.sql(
            "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms)
             VALUES ('script9/gone', 'script9', 'elsewhere', 1, 1, 0, 0, 5000);
             INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, owner, fence)
             VALUES ('n', 'job', 'theirs', 2, 1, 'script9/gone', 3);",
        );
        let begun = tokio::time::Instant::now();
        world.ran.wait_for(1).await;
        assert!(
            begun.elapsed() <= Duration::from_secs(25),
            "{:?}",
            begun.elapsed()
        );
        world.begin_stop();
    });
    assert_eq!((code, world.ran.all()), (0, vec!["theirs".to_owned()]));
}
