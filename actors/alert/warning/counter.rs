//! The counts of this process: added from any thread, written once a second.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::accumulator::{Accumulator, Key, Put, SEGMENT, Segment};
use super::added::{Added, Outcome, Phase, WarningError};
use super::definition::Warning;
use super::log_lines::{Trouble, log_once, write_messages};
use super::recording::Recording;
use crate::db::Db;
use crate::store::MOST_MESSAGES;
use crate::store::warnings::{CountAdd, CountOrigin, CountSegment, Counted};
use crate::store::write::AddCount;

/// Characters of a message that go along with what is sent.
const MESSAGE_CHARS: usize = 200;
/// Between two tries at a row that another process is counting in: that takes milliseconds.
const HELD_PAUSE_MS: std::ops::Range<u64> = 10..100;
/// A row that is locked for longer is worth a line.
const HELD_LOGGED_AFTER: Duration = Duration::from_secs(5);

static PROCESS: LazyLock<Counter> = LazyLock::new(Counter::new);

thread_local! {
    /// What a test's handlers count on this thread.
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// See the module's header. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Counter(To);

#[derive(Clone)]
enum To {
    Database(Arc<Shared>),
    Test(Recording),
}

struct Shared {
    phase: Arc<Phase>,
    accumulator: Mutex<Accumulator<Outcome>>,
    /// A segment was begun, or the process ends.
    added: Notify,
    settled: Notify,
    /// Nothing waits for its second any more.
    closing: AtomicBool,
}

impl Counter {
    /// For tests; a process has one.
    pub(crate) fn new() -> Self {
        Self(To::Database(Arc::new(Shared {
            phase: Arc::new(Phase::new()),
            accumulator: Mutex::default(),
            added: Notify::new(),
            settled: Notify::new(),
            closing: AtomicBool::new(false),
        })))
    }

    pub(crate) fn of_process() -> Self {
        PROCESS.clone()
    }

    /// Where the code that runs on this thread counts.
    pub(super) fn current() -> Self {
        let recording = RECORDING.with_borrow(Clone::clone);
        match recording {
            Some(recording) => Self(To::Test(recording)),
            None => Self::of_process(),
        }
    }

    /// From now on counts are to be written: their waiters wait for that.
    pub(crate) fn begin(&self) {
        if let To::Database(shared) = &self.0 {
            shared.closing.store(false, Ordering::Release);
            shared.phase.set(Phase::RUNNING);
        }
    }

    pub(super) fn add(&self, warning: &Warning, count: u64, messages: Vec<String>) -> Added {
        let (flag, periods) = match warning.key() {
            Ok(key) => key,
            Err(invalid) => {
                log_once(Trouble::Invalid, &format!("{invalid}; nothing is counted"));
                return Added::known(Err(invalid));
            }
        };
        let shared = match &self.0 {
            To::Database(shared) => shared,
            To::Test(recording) => {
                recording.add(flag, count, messages);
                return Added::known(Ok(()));
            }
        };
        write_messages(flag, &messages);
        if count == 0 {
            return Added::known(Ok(()));
        }
        let key = Key {
            flag: Arc::clone(flag),
            periods: Arc::clone(periods),
        };
        shared.add(&key, count, &messages)
    }

    /// Writes what is counted. Runs until it is dropped. `reached` is called when a limit was reached by this process.
    pub(crate) async fn write(&self, db: &Db, origin: &Arc<CountOrigin>, reached: impl Fn()) {
        if let To::Database(shared) = &self.0 {
            shared.write(db, origin, &reached).await;
        }
    }

    /// Writes what is counted at once, and waits for it until then. From then on nothing is counted any more.
    pub(crate) async fn finish(&self, until: Instant) {
        if let To::Database(shared) = &self.0 {
            shared.closing.store(true, Ordering::Release);
            shared.added.notify_one();
            // What is not written by then is counted by `end`.
            let _ = timeout_at(until, shared.until_empty()).await;
            shared.end();
        }
    }

    fn end(&self) {
        if let To::Database(shared) = &self.0 {
            shared.end();
        }
    }
}

impl Shared {
    fn add(&self, key: &Key, count: u64, messages: &[String]) -> Added {
        let last = messages.len().saturating_sub(MOST_MESSAGES);
        let messages = messages[last..].iter().map(|text| short(text)).collect();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut is_new = false;
        let mut accumulator = self.accumulator.lock();
        // Under the lock: what comes later is not seen by `end`.
        if self.phase.get() == Phase::ENDED {
            return Added::known(Err(WarningError::Stopped));
        }
        let put = accumulator.add(key, std::time::Instant::now(), count, messages, || {
            is_new = true;
            Outcome::new(&self.phase)
        });
        drop(accumulator);
        if is_new {
            self.added.notify_one();
        }
        match put {
            Put::Waits(outcome, given_up) => {
                if !given_up.is_empty() {
                    log_once(
                        Trouble::GivenUp,
                        &format!(
                            "the outage of the database lasts too long: the oldest counts of `{}` are given up",
                            key.flag.escape_debug()
                        ),
                    );
                    decide(given_up, &Err(WarningError::GivenUp));
                }
                Added::waits(outcome)
            }
            Put::TooManyFlags => {
                log_once(
                    Trouble::TooManyFlags,
                    "warnings: 1,000 flags wait to be written, and no more are counted; a flag is to be a kind of trouble, \
                     not a single case",
                );
                Added::known(Err(WarningError::TooManyFlags))
            }
        }
    }

    async fn write(&self, db: &Db, origin: &Arc<CountOrigin>, reached: &impl Fn()) {
        let mut writes = FuturesUnordered::new();
        let mut next = Instant::now();
        loop {
            let mut has_work = self.accumulator.lock().has_work();
            let is_due = Instant::now() >= next || self.closing.load(Ordering::Acquire);
            if has_work && is_due {
                let taken = self.accumulator.lock().take();
                for (key, segments) in taken {
                    writes.push(self.write_one(db, origin, key, segments, reached));
                }
                next = Instant::now() + SEGMENT;
                has_work = false;
            }
            tokio::select! {
                Some(()) = writes.next(), if !writes.is_empty() => {}
                () = self.added.notified() => {}
                () = sleep_until(next), if has_work => {}
            }
        }
    }

    async fn write_one(
        &self,
        db: &Db,
        origin: &Arc<CountOrigin>,
        key: Key,
        segments: Vec<Segment<Outcome>>,
        reached: &impl Fn(),
    ) {
        let mut add = CountAdd {
            origin: Arc::clone(origin),
            flag: Arc::clone(&key.flag),
            periods: Arc::clone(&key.periods),
            segments: Vec::with_capacity(segments.len()),
        };
        let mut outcomes = Vec::new();
        for segment in segments {
            add.segments.push(CountSegment {
                at: segment.at,
                span: segment.span(),
                count: segment.count,
                messages: segment.messages,
            });
            outcomes.extend(segment.outcomes);
        }
        let mut flight = Flight {
            shared: self,
            key,
            outcomes,
            result: Err(WarningError::Refused(
                "its writing was interrupted, and may have happened".to_owned(),
            )),
        };
        flight.result = persist(db, add, reached).await;
    }

    async fn until_empty(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.accumulator.lock().is_empty() {
                return;
            }
            settled.await;
        }
    }

    fn end(&self) {
        let mut accumulator = self.accumulator.lock();
        self.phase.set(Phase::ENDED);
        let given_up = accumulator.give_up();
        drop(accumulator);
        for line in given_up.lines() {
            log::error!("{line}");
        }
        decide(given_up.segments, &Err(WarningError::Stopped));
    }
}

/// Until it is written or refused. DbActor itself waits while the database is away.
async fn persist(db: &Db, add: CountAdd, reached: &impl Fn()) -> Result<(), WarningError> {
    let begun = Instant::now();
    let flag = Arc::clone(&add.flag);
    loop {
        match db.write(AddCount(add.clone())).await {
            Ok(Counted::Added { reached: limits }) => {
                if limits > 0 {
                    reached();
                }
                return Ok(());
            }
            Ok(Counted::Held) => {
                if begun.elapsed() > HELD_LOGGED_AFTER {
                    log_once(
                        Trouble::Held,
                        &format!(
                            "the counts of `{}` wait for a row of `warning_window` that another transaction has locked",
                            flag.escape_debug()
                        ),
                    );
                }
                sleep(Duration::from_millis(fastrand::u64(HELD_PAUSE_MS))).await;
            }
            Err(cause) => {
                log_once(
                    Trouble::Refused,
                    &format!(
                        "the counts of `{}` are not written, and not tried again: {cause}",
                        flag.escape_debug()
                    ),
                );
                return Err(WarningError::Refused(cause.to_string()));
            }
        }
    }
}

/// Counts on their way: however that ends, their waiters are notified, and the flag may be written again.
struct Flight<'a> {
    shared: &'a Shared,
    key: Key,
    outcomes: Vec<Outcome>,
    result: Result<(), WarningError>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        for outcome in &self.outcomes {
            outcome.decide(self.result.clone());
        }
        self.shared.accumulator.lock().settled(&self.key);
        self.shared.settled.notify_waiters();
        // What has come meanwhile may be due.
        self.shared.added.notify_one();
    }
}

fn decide(segments: Vec<Segment<Outcome>>, result: &Result<(), WarningError>) {
    for outcome in segments.into_iter().flat_map(|segment| segment.outcomes) {
        outcome.decide(result.clone());
    }
}

/// On one line, and cut.
fn short(message: &str) -> String {
    let plain = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MESSAGE_CHARS).collect()
}

/// When it is dropped nothing of this process is counted any more: a start that fails leaves nobody waiting.
pub(crate) struct EndsCounting;

impl Drop for EndsCounting {
    fn drop(&mut self) {
        Counter::of_process().end();
    }
}

impl Recording {
    /// As long as the answer lives, what this thread counts goes into it.
    pub(crate) fn enter(&self) -> impl Drop + use<> {
        struct Entered(Option<Recording>);
        impl Drop for Entered {
            fn drop(&mut self) {
                RECORDING.set(self.0.take());
            }
        }
        Entered(RECORDING.replace(Some(self.clone())))
    }
}
