//! DbActor on a scripted database, on a paused clock.

mod commit_delay;
mod gathering;
mod heart;
mod locks;
mod no_reader;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};

use self::no_reader::NoReader;
use super::heartbeat::Heartbeats;
use crate::clock::now_ms;
use crate::db::Db;
use crate::db::actor::{Crash, DbActor};
use crate::membership::{Liveness, Ownership};
use crate::store::DbError;
use crate::store::rows::{
    AtOverlap, Beat, BootRow, Claim, Heartbeat, Inspection, NewMessage, NewTask, Reaped,
};
use crate::store::traits::{Applied, Reader, Store, Writer, Writers};
use crate::store::write::{
    EndTasks, InsertMessages, InsertTasks, Listed, ReleaseTasks, Settlement, TakeFire, TrimRuns,
    Write, Written,
};
use crate::testing_support::{Barrier, Deaths, Seen, settle_down, soon};

const INTERVAL: Duration = Duration::from_secs(5);

/// Refused by the scripted database.
const REFUSED: i64 = 13;
/// The adapter panics on it.
const PANICS: i64 = 666;

/// The numbers of writes that have none of their own.
const INSERTS: i64 = -2;
const ENDS: i64 = -3;

/// How long it waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A database that follows a test's script.
#[derive(Clone)]
struct FakeStore {
    /// Each transaction, by the numbers of its writes.
    transactions: Seen<Vec<i64>>,
    /// Each transaction that waited for a lock and gave up.
    holds: Seen<Vec<i64>>,
    connections: Seen<()>,
    beats: Seen<()>,
    script: Arc<Mutex<Script>>,
    /// Closed: no transaction ends, but for those of claims.
    commits: Barrier,
    writers: Writers,
}

#[derive(Default)]
struct Script {
    away: bool,
    /// It goes away after this many writes of the next transaction.
    away_after: Option<usize>,
    /// The answer to the next transaction with this write is lost.
    lose_answer: Option<i64>,
    /// Somebody else has locked what this write needs.
    locked: Option<i64>,
    beats: VecDeque<Beat>,
}

struct FakeWriter(FakeStore);

fn away() -> DbError {
    DbError::Away("as the test wants it".to_owned())
}

impl FakeStore {
    fn new() -> Self {
        let commits = Barrier::closed();
        commits.open();
        Self {
            transactions: Seen::new(),
            holds: Seen::new(),
            connections: Seen::new(),
            beats: Seen::new(),
            script: Arc::default(),
            commits,
            writers: Writers::One,
        }
    }

    fn go_away(&self, away: bool) {
        self.script.lock().unwrap().away = away;
    }

    fn is_away(&self) -> bool {
        self.script.lock().unwrap().away
    }

    fn written(&self) -> Vec<i64> {
        self.transactions.all().concat()
    }

    fn answer(write: &Write) -> Result<Written, DbError> {
        match number(write) {
            REFUSED => Err(DbError::Refused("as the test wants it".to_owned())),
            PANICS => panic!("as the test wants it"),
            n => Ok(match write {
                Write::TrimRuns(trim) => trim.answer(usize::try_from(n).unwrap()),
                Write::ReapSilent(reap) => reap.answer(Reaped::default()),
                Write::TakeFire(take) => take.answer(Claim::Ours),
                Write::InsertMessages(insert) => insert.answer(Vec::new()),
                Write::InsertTasks(insert) => insert.answer(Vec::new()),
                Write::EndTasks(end) => end.answer(Settlement::default()),
                Write::ReleaseTasks(release) => release.answer(0),
                other => panic!("no test writes {other:?}"),
            }),
        }
    }
}

fn message() -> NewMessage {
    NewMessage {
        payload: Vec::new().into(),
        key: None,
        headers: Vec::new(),
    }
}

/// A write that is known by a number.
fn write(n: i64) -> TrimRuns {
    TrimRuns { before_ms: n }
}

fn number(write: &Write) -> i64 {
    match write {
        Write::TrimRuns(trim) => trim.before_ms,
        Write::ReapSilent(_) => -1,
        Write::TakeFire(take) => take.uk.parse().unwrap(),
        Write::InsertMessages(_) => INSERTS,
        Write::EndTasks(_) => ENDS,
        _ => 0,
    }
}

impl Store for FakeStore {
    fn address(&self) -> String {
        "fake://".to_owned()
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        Ok(Vec::new())
    }

    fn statements(&self) -> String {
        String::new()
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        Err(away())
    }

    fn writers(&self) -> Writers {
        self.writers
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        let store = self.clone();
        async move {
            if store.is_away() {
                return Err(away());
            }
            store.connections.note(());
            Ok(Box::new(FakeWriter(store)) as Box<dyn Writer>)
        }
        .boxed_local()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(NoReader)
    }
}

impl Writer for FakeWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        async move {
            if !batch.iter().all(Write::is_urgent) {
                self.0.commits.pass().await;
            }
            let numbers: Vec<i64> = batch.iter().map(number).collect();
            let lost = |n: &mut i64| numbers.contains(n);
            if self
                .0
                .script
                .lock()
                .unwrap()
                .lose_answer
                .take_if(lost)
                .is_some()
            {
                self.0.transactions.note(numbers);
                return Applied::none_of(batch.len()).unsure(away());
            }
            let away_after = self.0.script.lock().unwrap().away_after.take();
            let tried = match away_after {
                Some(n) => n.min(batch.len()),
                None if self.0.is_away() => 0,
                None => batch.len(),
            };
            let locked = self.0.script.lock().unwrap().locked;
            if locked.is_some_and(|n| numbers.contains(&n)) {
                self.0.holds.note(numbers);
                tokio::time::sleep(LOCK_WAIT).await;
                let (held, others): (Vec<usize>, Vec<usize>) =
                    (0..batch.len()).partition(|at| locked == Some(number(&batch[*at])));
                let mut applied = Applied::none_of(batch.len());
                applied.hold(held, &away());
                let written: Vec<i64> = others.iter().map(|at| number(&batch[*at])).collect();
                if !written.is_empty() {
                    self.0.transactions.note(written);
                }
                for at in others {
                    let answer = FakeStore::answer(&batch[at]);
                    applied.answer([at], vec![answer.unwrap()]);
                }
                return applied;
            }
            let answers: Vec<_> = batch[..tried].iter().map(FakeStore::answer).collect();
            if tried > 0 {
                let numbers = batch[..tried].iter().map(number);
                self.0.transactions.note(numbers.collect());
            }
            let mut applied = Applied::all(answers);
            if tried < batch.len() {
                applied.outcomes.resize_with(batch.len(), || None);
                applied = applied.away(away());
            }
            applied
        }
        .boxed_local()
    }

    fn heartbeat(&mut self, _: &BootRow) -> LocalBoxFuture<'_, Result<Heartbeat, DbError>> {
        async move {
            if self.0.is_away() {
                return Err(away());
            }
            self.0.beats.note(());
            let scripted = self.0.script.lock().unwrap().beats.pop_front();
            Ok(Heartbeat {
                beat: scripted.unwrap_or(Beat::Alive),
                at_ms: now_ms(),
            })
        }
        .boxed_local()
    }
}

struct World {
    store: FakeStore,
    db: Db,
    addr: Addr<DbActor>,
    deaths: Deaths,
}

impl World {
    fn start() -> Self {
        Self::with(None)
    }

    fn with(heartbeats: Option<Heartbeats>) -> Self {
        Self::on(FakeStore::new(), heartbeats)
    }

    fn on(store: FakeStore, heartbeats: Option<Heartbeats>) -> Self {
        tokio::time::pause();
        let deaths = Deaths::new();
        let db = Db::new(&store);
        let actor = DbActor::new(
            Arc::new(store.clone()),
            db.outage(),
            heartbeats,
            deaths.notice(),
        );
        let addr = actor.start();
        db.set_actor(Some(addr.clone()));
        Self {
            store,
            db,
            addr,
            deaths,
        }
    }

    /// How many writes each transaction had.
    fn sizes(&self) -> Vec<usize> {
        self.store.transactions.all().iter().map(Vec::len).collect()
    }

    /// As its owner does.
    fn replace(&mut self) {
        let store = Arc::new(self.store.clone());
        self.addr = DbActor::new(store, self.db.outage(), None, self.deaths.notice()).start();
        self.db.set_actor(Some(self.addr.clone()));
    }

    /// Sends writes in this order; answers their answers in the same.
    fn write_all(
        &self,
        numbers: impl IntoIterator<Item = i64>,
    ) -> tokio::task::JoinHandle<Vec<Result<usize, DbError>>> {
        let writes: Vec<_> = numbers
            .into_iter()
            .map(|n| {
                let db = self.db.clone();
                async move { db.write(write(n)).await }
            })
            .collect();
        actix_rt::spawn(join_all(writes))
    }
}

fn counts(answers: &[Result<usize, DbError>]) -> Vec<i64> {
    let count = |answer: &Result<usize, DbError>| match answer {
        Ok(n) => i64::try_from(*n).unwrap(),
        other => panic!("{other:?}"),
    };
    answers.iter().map(count).collect()
}
