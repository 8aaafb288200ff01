//! A queue that a test controls, and that remembers what was asked of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Barrier, soon};
use crate::job::{Disposition, Message};
use crate::membership::Ownership;
use crate::poison::{Identity, Kind};
use crate::source::{
    Delivery, Fetched, Fetcher, Limit, Locality, Receipt, Settled, Source, SourceError,
    TableReceipt, nothing, take_dead,
};
use crate::stop::StopListener;
use crate::store::DbError;

/// The message of this number.
fn message(id: i64) -> Message {
    let mut message = Message::new(format!("body {id}"));
    message.id = id.to_string();
    message
}

/// See the module's header.
pub(crate) struct FakeSource {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// Closed: settling waits.
    pub(crate) settling: Barrier,
}

#[derive(Default)]
struct State {
    /// What each fetch answers, suspects marked. Their attempt is 1.
    portions: VecDeque<Vec<(i64, bool)>>,
    /// Released or to be retried: they come in the next fetch.
    back: VecDeque<(i64, u32)>,
    /// Fetched and not settled, with their attempt.
    out: BTreeMap<i64, (i64, u32)>,
    ends: Vec<(i64, Disposition)>,
    asked: Vec<u32>,
    ownership: Option<Ownership>,
    lag: Option<u64>,
    /// How long it takes to say so.
    lag_takes: Duration,
    lag_asked: usize,
    fence: i64,
    fail_fetches: usize,
    fail_settles: usize,
    /// `open` and `close`, in their order.
    calls: Vec<&'static str>,
    /// Those that run again; what was fetched with them and is behind them does not start.
    blocked: Vec<TableReceipt>,
    fetches: u64,
    ordered: bool,
    in_process: bool,
    limit: Option<watch::Sender<Limit>>,
}

impl FakeSource {
    pub(crate) fn new() -> Arc<Self> {
        let settling = Barrier::closed();
        settling.open();
        Arc::new(Self {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            settling,
        })
    }

    /// One fetch answers these.
    pub(crate) fn offer(&self, ids: impl IntoIterator<Item = i64>) {
        self.offer_marked(ids.into_iter().map(|id| (id, false)));
    }

    /// One fetch answers these; those marked are suspects.
    pub(crate) fn offer_marked(&self, ids: impl IntoIterator<Item = (i64, bool)>) {
        let portion = ids.into_iter().collect();
        self.change(|state| state.portions.push_back(portion));
    }

    pub(crate) fn set_ownership(&self, ownership: Ownership) {
        self.change(|state| state.ownership = Some(ownership));
    }

    pub(crate) fn set_lag(&self, lag: Option<u64>) {
        self.change(|state| state.lag = lag);
    }

    /// From now on a question for the lag takes this long.
    pub(crate) fn slow_lag(&self, takes: Duration) {
        self.change(|state| state.lag_takes = takes);
    }

    /// How often the lag was asked for.
    pub(crate) fn lag_asked(&self) -> usize {
        self.lock().lag_asked
    }

    /// From now on it has a use for `useful` consumers.
    pub(crate) fn set_limit(&self, useful: u32, ceiling: u32) {
        let limit = Limit { useful, ceiling };
        let mut state = self.lock();
        let sender = state.limit.get_or_insert_with(|| watch::Sender::new(limit));
        sender.send_replace(limit);
    }

    /// `open` and `close`, in their order.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// From now on its messages have an order: those behind one that runs again do not start.
    pub(crate) fn keep_order(&self) {
        self.change(|state| state.ordered = true);
    }

    /// It is in this process: what has ended is settled there and then, but for dead letters.
    pub(crate) fn set_in_process(&self) {
        self.change(|state| state.in_process = true);
    }

    pub(crate) fn fail(&self, fetches: usize, settles: usize) {
        self.change(|state| {
            state.fail_fetches = fetches;
            state.fail_settles = settles;
        });
    }

    /// All ends so far, in the order in which they became durable.
    pub(crate) fn ends(&self) -> Vec<(i64, Disposition)> {
        self.lock().ends.clone()
    }

    /// Those that ended so, in the order in which they became durable.
    pub(crate) fn ended(&self, end: &Disposition) -> Vec<i64> {
        let state = self.lock();
        let same = state.ends.iter().filter(|(_, other)| other == end);
        same.map(|(id, _)| *id).collect()
    }

    /// Fetched and not settled.
    pub(crate) fn out(&self) -> Vec<i64> {
        self.lock().out.keys().copied().collect()
    }

    /// How many each fetch was allowed to answer.
    pub(crate) fn asked(&self) -> Vec<u32> {
        self.lock().asked.clone()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        soon(async {
            while !what(self) {
                changed.changed().await.unwrap();
            }
        })
        .await;
    }

    pub(crate) async fn until_done(&self, n: usize) {
        self.until(|source| source.ended(&Disposition::Complete).len() >= n)
            .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.send_modify(|n| *n += 1);
    }

    fn take(&self, max: u32) -> Option<Fetched> {
        let mut state = self.lock();
        let portion: Vec<(i64, u32, bool)> = if state.back.is_empty() {
            let portion = state.portions.pop_front()?;
            portion.into_iter().map(|(id, s)| (id, 1, s)).collect()
        } else {
            let n = state.back.len().min(usize::try_from(max).unwrap());
            state
                .back
                .drain(..n)
                .map(|(id, a)| (id, a, false))
                .collect()
        };
        state.asked.push(max);
        state.fetches += 1;
        let out = portion.into_iter().map(|(id, attempt, suspect)| {
            state.fence += 1;
            let fence = state.fence;
            let twice = state.out.insert(id, (fence, attempt));
            assert_eq!(twice, None, "message {id} was fetched twice");
            let receipt = TableReceipt {
                id,
                fence,
                generation: state.fetches,
            };
            (receipt, attempt, suspect)
        });
        let out: Vec<_> = out.collect();
        let delivery = |(receipt, attempt, suspect): (TableReceipt, u32, bool)| {
            let mut message = message(receipt.id);
            message.attempt = attempt;
            Delivery {
                message,
                receipt: Receipt::Table(receipt),
                suspect,
                arrived_ms: None,
            }
        };
        // Made when their turn comes, as those of Redis and Kafka are.
        Some(Box::new(out.into_iter().map(delivery)))
    }

    fn end(
        state: &mut State,
        Settled {
            receipt,
            disposition,
        }: Settled,
    ) {
        let TableReceipt { id, fence, .. } = own(&receipt);
        let Some((claimed, attempt)) = state.out.get(&id).copied() else {
            return;
        };
        if claimed != fence {
            return;
        }
        state.out.remove(&id);
        match &disposition {
            Disposition::Release => state.back.push_back((id, attempt)),
            Disposition::Retry(_) => state.back.push_back((id, attempt + 1)),
            Disposition::Complete | Disposition::DeadLetter { .. } => {}
        }
        state.ends.push((id, disposition));
    }
}

fn own(receipt: &Receipt) -> TableReceipt {
    match receipt {
        Receipt::Table(receipt) => *receipt,
        foreign => panic!("a receipt of another source: {foreign:?}"),
    }
}

fn away() -> SourceError {
    SourceError::Database(DbError::Away("as the test wants it".to_owned()))
}

impl Source for FakeSource {
    fn open(&self) {
        self.change(|state| state.calls.push("open"));
    }

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        self.lock().limit.as_ref().map(watch::Sender::subscribe)
    }

    fn locality(&self) -> Locality {
        match self.lock().in_process {
            true => Locality::InProcess,
            false => Locality::Remote,
        }
    }

    fn fetch<'a>(
        &'a self,
        _: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let mut changed = self.changed.subscribe();
            while !stop.begun() {
                if self.lock().fail_fetches > 0 {
                    self.lock().fail_fetches -= 1;
                    return Err(away());
                }
                if let Some(portion) = self.take(max) {
                    self.changed.send_modify(|n| *n += 1);
                    return Ok(portion);
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    () = stop.quiet() => {}
                }
            }
            Ok(nothing())
        }
        .boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        let state = self.lock();
        let receipt = own(receipt);
        let overtakes = |first: &TableReceipt| {
            receipt.generation == first.generation && receipt.fence > first.fence
        };
        let blocked = state.blocked.iter().any(overtakes);
        match blocked {
            true => Ownership::Blocked,
            false => state.ownership.unwrap_or(Ownership::Held),
        }
    }

    fn block(&self, receipt: &Receipt) {
        self.change(|state| {
            if state.ordered {
                state.blocked.push(own(receipt));
            }
        });
    }

    fn identity<'a>(&'a self, message: &'a Message, _: &Receipt) -> Identity<'a> {
        Identity::new(Kind::Queue, "q", &message.id, 0)
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            self.settling.pass().await;
            if self.lock().fail_settles > 0 {
                self.lock().fail_settles -= 1;
                return Err(away());
            }
            self.change(|state| ends.into_iter().for_each(|end| Self::end(state, end)));
            Ok(Vec::new())
        }
        .boxed()
    }

    fn settle_now(&self, mut ends: Vec<Settled>) -> Vec<Settled> {
        let dead = take_dead(&mut ends);
        self.change(|state| {
            ends.into_iter()
                .for_each(|settled| Self::end(state, settled))
        });
        dead
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        async move {
            self.lock().lag_asked += 1;
            let takes = self.lock().lag_takes;
            if takes > Duration::ZERO {
                tokio::time::sleep(takes).await;
            }
            let lag = self.lock().lag;
            lag.ok_or_else(away)
        }
        .boxed()
    }

    fn close(&self, _: Duration) -> BoxFuture<'_, ()> {
        async { self.change(|state| state.calls.push("close")) }.boxed()
    }
}
