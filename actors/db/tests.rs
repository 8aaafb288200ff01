//! DbActor on a scripted database, on a paused clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture, join_all};

use super::actor::{Crash, DbActor};
use super::heart::Heartbeats;
use super::rows::{
    AliveBoot, AtOverlap, Beat, BootRow, DeadLetter, DelayCounts, Heartbeat, Inspection,
    LetterFilter, LetterHead, NewMessage, NewTask, OpenRun, OutsideDeath,
};
use super::store::{Applied, Reader, Store, Writer, Writers};
use super::write::{Write, Written};
use super::{Db, DbError, Liveness, Standing};
use crate::clock::now_ms;
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

/// A database that does as a test tells it.
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
    /// It goes away after so many writes of the next transaction.
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
            n => Ok(Written::Count(usize::try_from(n).unwrap_or(0))),
        }
    }
}

/// A write that is known by a number.
fn write(n: i64) -> Write {
    Write::TrimRuns { before_ms: n }
}

fn number(write: &Write) -> i64 {
    match write {
        Write::TrimRuns { before_ms } => *before_ms,
        Write::ReapSilent { .. } => -1,
        Write::TakeFire { uk, .. } => uk.parse().unwrap(),
        Write::InsertMessages { .. } => INSERTS,
        Write::EndTasks { .. } => ENDS,
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

struct NoReader;

impl Reader for NoReader {
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        async move { Ok(vec![0; queues.len()]) }.boxed()
    }
    fn due_queues(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        async { Ok(DelayCounts::default()) }.boxed()
    }
    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async { Ok(0) }.boxed()
    }
    fn task_command(&self, _: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        async { Ok(None) }.boxed()
    }
    fn dead_letters(
        &self,
        _: LetterFilter,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn letter_heads(
        &self,
        _: LetterFilter,
        _: i64,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<LetterHead>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn deaths<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn orphaned_runs<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn open_runs<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn alive_boots<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<AliveBoot>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
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
        let addr = DbActor::new(Arc::new(store.clone()), heartbeats, deaths.notice()).start();
        let db = Db::new(store.reader());
        db.set_actor(Some(addr.clone()));
        Self {
            store,
            db,
            addr,
            deaths,
        }
    }

    /// As its owner does.
    fn replace(&mut self) {
        let store = Arc::new(self.store.clone());
        self.addr = DbActor::new(store, None, self.deaths.notice()).start();
        self.db.set_actor(Some(self.addr.clone()));
    }

    /// Sends writes in this order; answers their answers in the same.
    fn write_all(
        &self,
        numbers: impl IntoIterator<Item = i64>,
    ) -> tokio::task::JoinHandle<Vec<Result<Written, DbError>>> {
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

fn counts(answers: &[Result<Written, DbError>]) -> Vec<i64> {
    let count = |answer: &Result<Written, DbError>| match answer {
        Ok(Written::Count(n)) => i64::try_from(*n).unwrap(),
        other => panic!("{other:?}"),
    };
    answers.iter().map(count).collect()
}

#[actix::test]
async fn a_thousand_writes_at_once_share_few_transactions() {
    let world = World::start();
    world.store.commits.close();
    let answers = world.write_all(1000..2000);
    settle_down().await;
    world.store.commits.open();
    let answers = soon(answers).await.unwrap();
    assert!(counts(&answers).into_iter().eq(1000..2000));
    assert!(world.store.transactions.len() <= 6);
    assert_eq!(world.store.connections.len(), 1);
}

#[actix::test]
async fn writes_are_done_in_the_order_in_which_they_came() {
    let world = World::start();
    soon(world.write_all(1000..1050)).await.unwrap();
    assert!(world.store.written().into_iter().eq(1000..1050));
}

#[actix::test]
async fn a_lone_write_waits_for_nobody() {
    let world = World::start();
    let begun = tokio::time::Instant::now();
    soon(world.db.write(write(1))).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn nothing_is_answered_before_its_commit() {
    let world = World::start();
    world.store.commits.close();
    let mut answers = world.write_all([1, 2]);
    settle_down().await;
    assert!((&mut answers).now_or_never().is_none());
    world.store.commits.open();
    assert_eq!(counts(&soon(answers).await.unwrap()), [1, 2]);
}

#[actix::test]
async fn a_refused_write_fails_alone() {
    let world = World::start();
    let answers = soon(world.write_all([11, 12, REFUSED, 14])).await.unwrap();
    assert!(matches!(answers[2], Err(DbError::Refused(_))));
    assert_eq!(counts(&answers[..2]), [11, 12]);
    assert_eq!(counts(&answers[3..]), [14]);
}

#[actix::test]
async fn writes_wait_while_the_database_is_away_and_keep_their_order() {
    let world = World::start();
    world.store.go_away(true);
    let first = world.write_all([1, 2]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let second = world.write_all([3]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.store.written().is_empty());
    world.store.go_away(false);
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    assert_eq!(world.store.written(), [1, 2, 3]);
}

#[actix::test]
async fn what_was_not_tried_is_tried_again_on_a_new_connection_and_the_rest_is_not() {
    let world = World::start();
    world.store.script.lock().unwrap().away_after = Some(2);
    let answers = soon(world.write_all([1, 2, 3, 4])).await.unwrap();
    assert_eq!(counts(&answers), [1, 2, 3, 4]);
    // The first transaction may have taken only the first write.
    assert_eq!(
        world.store.written(),
        [1, 2, 3, 4],
        "each once, in their order"
    );
    assert!(world.store.connections.len() <= 2);
}

#[actix::test]
async fn a_batch_that_may_be_committed_is_asked_about_as_it_was() {
    let world = World::start();
    world.store.commits.close();
    world.store.script.lock().unwrap().lose_answer = Some(2);
    let first = world.write_all([1]);
    let waiting = world.write_all([2, 3]);
    let gives_up = world.write_all([4]);
    settle_down().await;
    world.store.commits.open();
    soon(first).await.unwrap();
    while world.store.transactions.len() < 2 {
        settle_down().await;
    }
    gives_up.abort();
    let later = world.write_all([5]);
    soon(waiting).await.unwrap();
    soon(later).await.unwrap();
    let transactions = world.store.transactions.all();
    let twice = transactions.iter().position(|writes| writes.contains(&2));
    let lost = &transactions[twice.unwrap()];
    assert_eq!(
        lost,
        &transactions[twice.unwrap() + 1],
        "just those again, whoever gave up since"
    );
    assert_eq!(
        world.store.connections.len(),
        1,
        "by the writer that can find out"
    );
}

#[actix::test]
async fn nobody_writes_again_what_a_dead_actor_may_have_committed() {
    let world = World::start();
    world.store.script.lock().unwrap().lose_answer = Some(7);
    let unsure = world.write_all([7]);
    while world.store.transactions.len() == 0 {
        settle_down().await;
    }
    world.store.go_away(true);
    world.addr.do_send(Crash);
    let answers = soon(unsure).await.unwrap();
    assert!(matches!(answers[0], Err(DbError::Restarted)), "{answers:?}");
}

#[actix::test]
async fn a_transaction_has_a_bounded_number_of_rows() {
    let world = World::start();
    world.store.commits.close();
    let list = |rows: usize| {
        let row = NewTask {
            name: String::new(),
            exec_cmd: String::new(),
            params: String::new(),
            due_ms: 0,
            claimed: false,
        };
        let db = world.db.clone();
        async move { db.insert_tasks(vec![row; rows], String::new()).await }
    };
    let lists = actix_rt::spawn(join_all([1, 3_000, 3_000, 9_000, 10].map(list)));
    settle_down().await;
    world.store.commits.open();
    soon(lists).await.unwrap();
    let sizes: Vec<usize> = world
        .store
        .transactions
        .all()
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(sizes, [1, 1, 1, 1, 1]);
}

#[actix::test]
async fn what_a_caller_wanted_that_gave_up_does_not_happen() {
    let world = World::start();
    world.store.go_away(true);
    let gave_up = world.db.write(write(1));
    let waited = tokio::time::timeout(Duration::from_secs(30), gave_up).await;
    assert!(waited.is_err());
    let answers = world.write_all([2]);
    settle_down().await;
    world.store.go_away(false);
    soon(answers).await.unwrap();
    assert_eq!(world.store.written(), [2]);
}

#[actix::test]
async fn who_waits_for_a_lock_holds_nobody_else_up() {
    let world = World::start();
    world.store.script.lock().unwrap().locked = Some(1050);
    let waits = world.write_all(1000..1100);
    world.store.holds.wait_for(2).await;
    let begun = tokio::time::Instant::now();
    for n in 2000..2020 {
        soon(world.db.write(write(n))).await.unwrap();
    }
    assert!(begun.elapsed() < LOCK_WAIT, "{:?}", begun.elapsed());
    let written = world.store.written();
    let neighbours = (1000..1100).filter(|n| *n != 1050);
    assert!(neighbours.into_iter().all(|n| written.contains(&n)));
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(!world.store.written().contains(&1050));
    world.store.script.lock().unwrap().locked = None;
    assert!(
        counts(&soon(waits).await.unwrap())
            .into_iter()
            .eq(1000..1100)
    );
    let mut written = world.store.written();
    written.sort_unstable();
    assert!(
        written.into_iter().eq((1000..1100).chain(2000..2020)),
        "each once"
    );
}

/// As while somebody alters the table: each of them would wait, and all others behind it.
#[actix::test]
async fn more_of_what_waits_for_a_table_waits_beside_it() {
    let world = World::start();
    let send = |rows: usize| {
        let row = NewMessage {
            payload: Vec::new().into(),
            key: None,
            headers: Vec::new(),
        };
        let db = world.db.clone();
        actix_rt::spawn(async move { db.insert_messages("q".to_owned(), vec![row; rows]).await })
    };
    world.store.script.lock().unwrap().locked = Some(INSERTS);
    let first = send(1);
    // The second one is set aside.
    world.store.holds.wait_for(2).await;
    let holds = world.store.holds.len();
    let others: Vec<_> = (1..10).map(|_| send(1)).collect();
    settle_down().await;
    let begun = tokio::time::Instant::now();
    for n in 2000..2020 {
        soon(world.db.write(write(n))).await.unwrap();
    }
    assert!(begun.elapsed() < LOCK_WAIT / 2, "{:?}", begun.elapsed());
    tokio::time::sleep(LOCK_WAIT * 4).await;
    let tries = world.store.holds.len() - holds;
    assert!(
        tries <= 6,
        "together, not one after the other: {tries} tries"
    );
    world.store.script.lock().unwrap().locked = None;
    // The scripted database gives no ids.
    for send in others.into_iter().chain([first]) {
        let answer = soon(send).await.unwrap();
        assert!(matches!(answer, Err(DbError::Refused(_))), "{answer:?}");
    }
}

#[actix::test]
async fn what_gives_rows_back_waits_for_ends_and_is_passed_by_nothing() {
    let world = World::start();
    let give_back = || {
        let db = world.db.clone();
        async move { db.give_back_tasks("me".to_owned(), Vec::new()).await }
    };
    let end = || {
        let db = world.db.clone();
        actix_rt::spawn(async move { db.end_tasks("me".to_owned(), Vec::new()).await })
    };
    // An end that waits for a lock is not passed by it.
    world.store.script.lock().unwrap().locked = Some(ENDS);
    let waits = end();
    world.store.holds.wait_for(1).await;
    let given_back = actix_rt::spawn(give_back());
    settle_down().await;
    let behind = world.write_all([2]);
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(world.store.written().is_empty());
    world.store.script.lock().unwrap().locked = None;
    soon(waits).await.unwrap().unwrap_err();
    soon(given_back).await.unwrap().unwrap();
    soon(behind).await.unwrap();
    assert_eq!(
        world.store.transactions.all(),
        [vec![ENDS], vec![0], vec![2]]
    );

    // And where it waits itself, nothing passes it.
    world.store.script.lock().unwrap().locked = Some(0);
    let given_back = actix_rt::spawn(give_back());
    settle_down().await;
    let behind = world.write_all([3]);
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(!world.store.written().contains(&3));
    world.store.script.lock().unwrap().locked = None;
    soon(given_back).await.unwrap().unwrap();
    soon(behind).await.unwrap();
    assert_eq!(world.store.transactions.all()[3..], [vec![0], vec![3]]);
}

/// A claim whose caller is gone is nobody's: it is not made, and keeps nobody waiting.
#[actix::test]
async fn nothing_waits_for_a_write_that_nobody_wants_any_more() {
    let world = World::start();
    world.store.script.lock().unwrap().locked = Some(ENDS);
    let db = world.db.clone();
    let end = actix_rt::spawn(async move { db.end_tasks("me".to_owned(), Vec::new()).await });
    world.store.holds.wait_for(1).await;
    end.abort();
    soon(world.db.give_back_tasks("me".to_owned(), Vec::new()))
        .await
        .unwrap();
}

/// A claim that is known by a number.
fn claim(n: i64) -> Write {
    Write::TakeFire {
        uk: n.to_string(),
        from: String::new(),
        owner: String::new(),
        at_overlap: AtOverlap::Allow,
    }
}

#[actix::test]
async fn a_claim_of_a_fire_waits_for_no_other_write() {
    let store = FakeStore {
        writers: Writers::Many,
        ..FakeStore::new()
    };
    let world = World::on(store, None);
    world.store.commits.close();
    // More than may be under way at once: the others wait for their turn.
    let others = world.write_all(1000..4000);
    settle_down().await;
    for n in 1..4 {
        soon(world.db.write(claim(n))).await.unwrap();
    }
    assert_eq!(world.store.written(), [1, 2, 3]);
    world.store.commits.open();
    assert_eq!(soon(others).await.unwrap().len(), 3000);
    assert_eq!(world.store.connections.len(), 2);
}

#[actix::test]
async fn where_one_connection_writes_claims_of_fires_go_first_and_alone() {
    let world = World::start();
    world.store.commits.close();
    let first = world.write_all([1000]);
    settle_down().await;
    let others = world.write_all(1001..1004);
    settle_down().await;
    let claims = [1, 2].map(|n| {
        let db = world.db.clone();
        actix_rt::spawn(async move { db.write(claim(n)).await })
    });
    settle_down().await;
    world.store.commits.open();
    soon(join_all(claims)).await;
    soon(first).await.unwrap();
    soon(others).await.unwrap();
    let transactions = world.store.transactions.all();
    assert_eq!(
        transactions,
        [vec![1000], vec![1, 2], vec![1001, 1002, 1003]]
    );
    assert_eq!(world.store.connections.len(), 1);
}

#[actix::test]
async fn callers_beyond_the_permits_wait_and_none_is_forgotten() {
    let world = World::start();
    world.store.go_away(true);
    let answers = world.write_all(1000..6000);
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.store.go_away(false);
    let answers = soon(answers).await.unwrap();
    assert!(counts(&answers).into_iter().eq(1000..6000));
    assert_eq!(world.store.written().len(), 5000);
}

#[actix::test]
async fn a_panic_in_the_adapter_is_an_error_of_its_batch_and_nothing_else() {
    let world = World::start();
    let answer = soon(world.db.write(write(PANICS))).await;
    assert!(matches!(answer, Err(DbError::Restarted)));
    assert_eq!(counts(&soon(world.write_all([5])).await.unwrap()), [5]);
    assert_eq!(world.deaths.count(), 0);
    assert_eq!(
        world.store.connections.len(),
        2,
        "not on the connection that panicked"
    );
}

#[actix::test]
async fn what_is_being_committed_is_answered_though_the_actor_dies() {
    let mut world = World::start();
    world.store.commits.close();
    let under_way = world.write_all([1]);
    settle_down().await;
    let waiting = world.write_all([2, 3]);
    settle_down().await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    world.store.commits.open();
    assert_eq!(counts(&soon(under_way).await.unwrap()), [1]);
    world.replace();
    assert_eq!(counts(&soon(waiting).await.unwrap()), [2, 3]);
    assert_eq!(world.store.written(), [1, 2, 3], "each once");
}

#[actix::test]
async fn writes_wait_until_a_dead_actor_is_replaced() {
    let mut world = World::start();
    world.store.go_away(true);
    let early = world.write_all([1]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    let late = world.write_all([2]);
    world.store.go_away(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.store.written().is_empty());
    world.replace();
    soon(early).await.unwrap();
    soon(late).await.unwrap();
    let mut written = world.store.written();
    written.sort_unstable();
    assert_eq!(written, [1, 2]);
}

fn heartbeats(liveness: &Arc<Liveness>) -> Option<Heartbeats> {
    Some(Heartbeats {
        boot: BootRow {
            owner: "script1/a".to_owned(),
            partition: "script1".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            interval_ms: 5000,
        },
        liveness: Arc::clone(liveness),
    })
}

/// To be called with the clock paused: it begins now.
fn liveness() -> Arc<Liveness> {
    tokio::time::pause();
    let liveness = Arc::new(Liveness::new(INTERVAL));
    tokio::time::resume();
    liveness
}

#[actix::test]
async fn heartbeats_come_while_no_commit_ends() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.commits.close();
    let _stuck = world.write_all([1]);
    tokio::time::sleep(INTERVAL * 20).await;
    assert!((20..=22).contains(&world.store.beats.len()));
    assert_eq!(liveness.standing(0), Standing::Ours);
}

#[actix::test]
async fn silence_makes_unsure_and_a_heartbeat_makes_sure_again() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(1).await;
    world.store.go_away(true);
    tokio::time::sleep(INTERVAL * 4).await;
    assert_eq!(liveness.standing(0), Standing::Unsure);
    world.store.go_away(false);
    let beats = world.store.beats.len();
    world.store.beats.wait_for(beats + 1).await;
    settle_down().await;
    assert_eq!(liveness.standing(0), Standing::Ours);
}

#[actix::test]
async fn a_judged_death_begins_a_new_generation() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(2).await;
    world.store.script.lock().unwrap().beats = [Beat::WasDead].into();
    world.store.beats.wait_for(3).await;
    settle_down().await;
    assert_eq!(liveness.standing(0), Standing::Lost);
    assert_eq!(liveness.standing(1), Standing::Ours);
    world.store.beats.wait_for(6).await;
    assert_eq!(liveness.generation(), 1, "once");
}

#[actix::test]
async fn others_are_judged_after_three_heartbeats_of_ones_own_and_not_during_an_outage() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(3).await;
    settle_down().await;
    assert!(!world.store.written().contains(&-1));
    world.store.transactions.wait_for(1).await;
    world.store.go_away(true);
    tokio::time::sleep(INTERVAL * 10).await;
    let judged = world.store.written().len();
    world.store.go_away(false);
    let beats = world.store.beats.len();
    world.store.beats.wait_for(beats + 3).await;
    settle_down().await;
    // One order to judge may have waited since the last heartbeat before the outage.
    assert!(world.store.written().len() <= judged + 1);
}

#[actix::test]
async fn the_heart_stops_with_the_actor() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(2).await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    let beats = world.store.beats.len();
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(world.store.beats.len(), beats);
}
