//! The plan of the daemon under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::alert::own::{Disks, Memory, OwnAlerts};
use crate::config::{AlertRules, HttpSettings};
use crate::consumer::Work;
use crate::cron::{Backlog, CronConfig, StartingFires, WatchedRuns};
use crate::delay_queue::{DelayConfig, RunningTasks, Stats, TaskRules};
use crate::http::{DatabaseCheck, Files, HttpConfig, PoolOrders, Socket};
use crate::job::{Handler as JobHandler, Task};
use crate::membership::Liveness;
use crate::poison::{Quarantines, SlotFile};
use crate::pool::PoolConfig;
use crate::source::{Consumed, TableSource};
use crate::state::{Identity, State};
use crate::store::rows::{BootRow, EntryName};
use crate::supervisor::{LiveQueue, Retention};
use crate::testing_support::{limits, queue_entry, single};
use crate::workers::Workers;

pub(super) const INTERVAL: Duration = Duration::from_secs(5);

pub(super) const DEADLINE: Duration = Duration::from_secs(25);

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

pub(super) fn plan(
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
