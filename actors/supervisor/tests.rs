//! The whole daemon but its processes, on one thread and a paused clock.

mod planned;
mod replacing;
mod starting;
mod stopping;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::sleep;

use self::planned::plan;
use super::children::Children;
use super::{BeginStop, Plan, SupervisorActor};
use crate::config::Partition;
use crate::cron;
use crate::db::Db;
use crate::delay_queue::{self, DelayQueueHandle, Push, PushItem};
use crate::job::OwnCode;
use crate::membership::Owner;
use crate::own_code;
use crate::stop::StopSignal;
use crate::store::rows::{Inspection, NewMessage};
use crate::store::{DbError, Reader, Store, Writer};
use crate::testing_support::{Barrier, Seen, TestDb, soon};

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

/// A plan of which nothing is started.
pub(super) fn plan_of_a_daemon() -> (TestDb, Plan) {
    let files = TestDb::start();
    let owner = Owner::new("script1".parse::<Partition>().unwrap());
    let store = Arc::clone(&files.store);
    let plan = plan(&files, store, &owner, &Seen::new(), &Barrier::closed());
    (files, plan)
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
