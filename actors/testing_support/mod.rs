//! What the tests of several actors share: a database, a scripted queue, and waiting without sleeping (`clock.rs`).

mod clock;
mod database;
pub(crate) mod documents;
mod hooked;
mod proxy;
mod source;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use self::clock::{by_others, settle_down, soon};
pub(crate) use self::database::TestDb;
pub(crate) use self::hooked::no_hook;
pub(crate) use self::proxy::{Cut, Proxy};
pub(crate) use self::source::FakeSource;
use crate::backoff::Backoff;
use crate::config::{BatchLimits, PoolLimits, QueueEntry, RetryRules, SourceConfig, StatusBits};
use crate::consumer::Work;
use crate::drop_notice::GoneNotice;
use crate::job::{BatchHandler, Consumer, Handler, JobResult, Message};
use crate::poison::Quarantine;
use crate::state::{QueueFacts, QueueState};

/// Three attempts, a second between them.
pub(crate) fn rules() -> RetryRules {
    RetryRules {
        max_attempts: NonZeroU32::new(3).unwrap(),
        backoff: Backoff {
            base: Duration::from_secs(1),
            max: Duration::from_secs(1),
        },
    }
}

/// Consumers at rest and at most; one for each message above those at rest.
pub(crate) fn limits(progress: u32, max: u32) -> PoolLimits {
    PoolLimits {
        progress: NonZeroU32::new(progress).unwrap(),
        max_progress: NonZeroU32::new(max),
        lag_limit: 0,
        avg_msgcount: NonZeroU64::MIN,
    }
}

/// The work of one consumer on a scripted queue.
pub(crate) fn work(source: &Arc<FakeSource>, handler: Consumer) -> Work {
    Work {
        queue: "q".into(),
        source: Arc::<FakeSource>::clone(source),
        home: tokio::runtime::Handle::current(),
        handler,
        retry: rules(),
        timeout: None,
        batch: BatchLimits {
            bytes: u32::MAX,
            size: NonZeroU32::new(10).unwrap(),
            wait: Duration::from_millis(100),
        },
        slots: None,
        quarantine: Quarantine::default(),
        paused: crate::orders::PauseFlag::default(),
        rate: crate::rate::Limiter::none(),
        state: queue_state(),
    }
}

/// What a queue `q` publishes.
pub(crate) fn queue_state() -> Arc<QueueState> {
    QueueState::new(QueueFacts {
        name: "q".to_owned(),
        kind: "table",
        source: "q".to_owned(),
        exec_cmd: "c".to_owned(),
        progress: 1,
        max_progress: None,
        lag_limit: 0,
        rate_limit: None,
    })
}

/// A handler of single messages.
pub(crate) fn single<F, Fut>(handler: F) -> Consumer
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = JobResult> + 'static,
{
    Consumer::Single(Handler::of(move |message| Box::pin(handler(message))))
}

/// A handler of batches.
pub(crate) fn batch<F, Fut>(handler: F) -> Consumer
where
    F: Fn(Vec<Message>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<JobResult>> + 'static,
{
    let handler: BatchHandler = Handler::of(move |messages: Vec<Message>| {
        let n = messages.len();
        let outcomes = handler(messages);
        Box::pin(async move { Ok(crate::job::BatchOutcome::outcomes(outcomes.await, n)) })
    });
    Consumer::Batch(handler)
}

/// Something that can be read, and waited for.
#[derive(Clone)]
pub(crate) struct Seen<T> {
    values: Arc<Mutex<Vec<T>>>,
    changed: watch::Sender<usize>,
}

impl<T: Clone> Seen<T> {
    pub(crate) fn new() -> Self {
        Self {
            values: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    pub(crate) fn note(&self, value: T) {
        self.values.lock().unwrap().push(value);
        self.changed.send_modify(|n| *n += 1);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.values.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        *self.changed.borrow()
    }

    /// Waits until `n` were seen.
    pub(crate) async fn wait_for(&self, n: usize) -> Vec<T> {
        let mut changed = self.changed.subscribe();
        let waited = changed.wait_for(|seen| *seen >= n);
        soon(waited).await.unwrap();
        self.all()
    }
}

/// Closed at first; what waits at it goes on when it is opened.
#[derive(Clone)]
pub(crate) struct Barrier(watch::Sender<bool>);

impl Barrier {
    pub(crate) fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(crate) async fn pass(&self) {
        let mut open = self.0.subscribe();
        let _ = open.wait_for(|open| *open).await;
    }
}

/// Counts the ends of children.
#[derive(Clone)]
pub(crate) struct Deaths(Seen<()>);

impl Deaths {
    pub(crate) fn new() -> Self {
        Self(Seen::new())
    }

    pub(crate) fn notice(&self) -> GoneNotice {
        let seen = self.0.clone();
        GoneNotice::new(move || seen.note(()))
    }

    pub(crate) async fn wait_for(&self, n: usize) {
        self.0.wait_for(n).await;
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// How many are at something at once, and the most there ever were.
#[derive(Clone, Default)]
pub(crate) struct Crowd {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Crowd {
    pub(crate) fn enter(&self) -> impl Drop + use<> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Leave(Arc::clone(&self.now))
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

struct Leave(Arc<AtomicUsize>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A live queue entry of a table.
pub(crate) fn queue_entry(name: &str, table: &str) -> QueueEntry {
    QueueEntry {
        rate_limit: None,
        name: name.to_owned(),
        exec_cmd: "c".to_owned(),
        source: SourceConfig::Table {
            table: table.to_owned(),
        },
        limits: limits(1, 1),
        status: StatusBits::ALL,
        live: true,
        timeout: None,
        retry: RetryRules::default(),
        batch: BatchLimits::default(),
    }
}
