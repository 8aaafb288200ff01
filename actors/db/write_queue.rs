//! Writes that go through one connection, one transaction after the other, in the order in which they came.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Message;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::commit_delay::{CommitDelay, WaitNumber};
use crate::outage::Outage;
use crate::state::commits;
use crate::store::DbError;
use crate::store::made_dead_letters::publish_dead_letters;
use crate::store::traits::{Applied, Outcome, Store, Writer};
use crate::store::write::{Write, Written};

/// Writes in one transaction at most: bounds how long its first caller waits for the last one's write.
const MAX_BATCH: usize = 256;
/// Rows in one transaction at most, unless a single write has more: a push of thousands is no reason for hundreds of
/// such pushes to wait for each other.
const MAX_ROWS: usize = 5_000;

/// Pause between two attempts at a write that another transaction's lock blocks.
pub(super) const HELD_PAUSE: Duration = Duration::from_millis(500);

/// One write, answered after its commit. The permits of `Db` bound how many there are at once. An answer that is
/// dropped means that the write was never tried.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submit {
    pub(crate) write: Write,
    pub(crate) answer: oneshot::Sender<Result<Written, DbError>>,
}

/// What became of a batch.
pub(super) struct Committed {
    /// None where the next batch needs a new connection.
    writer: Option<Box<dyn Writer>>,
    /// Not tried, in their order, and why.
    left: Vec<Submit>,
    away: Option<DbError>,
    /// What may be committed or not; nothing is in `left` then.
    unsure: Option<Unsure>,
    /// What waited for other transactions' locks, and is not written.
    held: Vec<Submit>,
    held_by: Option<DbError>,
    /// How many inserts were answered, where there was nothing else, and how many writes waited then.
    answered: Option<(usize, usize)>,
}

/// What the next transaction is made of.
pub(super) struct Batch {
    writer: Option<Box<dyn Writer>>,
    submits: Vec<Submit>,
    /// How many writes wait behind it, at any time.
    waiting: Rc<Cell<usize>>,
}

/// Writes that may be committed or not, and the writer that can find out.
struct Unsure {
    writer: Option<Box<dyn Writer>>,
    batch: Vec<Submit>,
}

/// If nobody finds out, the callers must not believe that nothing was written: they would write it again.
impl Drop for Unsure {
    fn drop(&mut self) {
        for submit in self.batch.drain(..) {
            let _ = submit.answer.send(Err(DbError::Restarted));
        }
    }
}

/// Which of the writes that wait make one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    /// All, as long as there is room.
    All,
    /// The same; a barrier has to wait, and those behind it.
    AllWhoMayPass,
    /// Those that wait for the same lock: inserts into one table. Any other goes alone.
    OfOneTable,
}

/// What the owner of a write queue has to do after a batch.
pub(super) struct After {
    /// The next batch must not begin before that.
    pub(super) pause: Option<Duration>,
    /// These are to go on elsewhere, and why.
    pub(super) held: Vec<Submit>,
    pub(super) held_by: Option<DbError>,
    /// The next batch waits for the callers just answered, which may write again at once.
    pub(super) awaits: Option<WaitNumber>,
}

/// See the module's header.
pub(super) struct WriteQueue {
    pending: VecDeque<Submit>,
    /// None before the first write, after an outage, and while a batch is under way.
    writer: Option<Box<dyn Writer>>,
    /// To be tried again as it is, before anything else.
    unsure: Option<Unsure>,
    /// A batch is under way, or the pause after one.
    busy: bool,
    delay: CommitDelay,
    /// The length of `pending`, for what is under way.
    waiting: Rc<Cell<usize>>,
    outage: Outage,
    /// When the last batch was begun.
    began: Instant,
}

impl WriteQueue {
    pub(super) fn new(outage: Outage) -> Self {
        Self {
            pending: VecDeque::new(),
            writer: None,
            unsure: None,
            busy: false,
            delay: CommitDelay::default(),
            waiting: Rc::default(),
            outage,
            began: Instant::now(),
        }
    }

    /// Behind those that wait; what is urgent, before those that are not.
    pub(super) fn push(&mut self, submit: Submit) {
        let at = if submit.write.is_urgent() {
            let urgent = self.pending.iter();
            urgent.take_while(|submit| submit.write.is_urgent()).count()
        } else {
            self.pending.len()
        };
        if submit.write.inserts_into().is_none() {
            self.delay.end();
        }
        self.pending.insert(at, submit);
        self.waiting.set(self.pending.len());
    }

    /// The connection, where nothing needs it now. From then on the write queue is busy, until `return_writer` and
    /// `go_on`.
    pub(super) fn lend_writer(&mut self) -> Option<Box<dyn Writer>> {
        if self.busy || !self.pending.is_empty() {
            return None;
        }
        let writer = self.writer.take()?;
        self.busy = true;
        Some(writer)
    }

    pub(super) fn return_writer(&mut self, writer: Box<dyn Writer>) {
        self.writer = Some(writer);
    }

    /// Nothing waits in it, and nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.unsure.is_none() && !self.busy
    }

    /// The next transaction, if none is under way and there is something to write. From then on the write queue is
    /// busy, until `go_on`.
    pub(super) fn begin(&mut self, together: Together) -> Option<Batch> {
        if self.busy {
            return None;
        }
        if self.delay.awaits_more(self.pending.len()) {
            let is_full = self.size(together) < self.pending.len();
            if !is_full {
                return None;
            }
            self.delay.end();
        }
        let batch = self.next_batch(together)?;
        self.busy = true;
        Some(batch)
    }

    pub(super) fn go_on(&mut self) {
        self.busy = false;
    }

    fn next_batch(&mut self, together: Together) -> Option<Batch> {
        if let Some(mut unsure) = self.unsure.take() {
            // Whoever gave up meanwhile stays in it: it is the batch that is asked about.
            self.began = Instant::now();
            return Some(Batch {
                writer: unsure.writer.take(),
                submits: std::mem::take(&mut unsure.batch),
                waiting: Rc::clone(&self.waiting),
            });
        }
        // What callers wanted that gave up must not happen behind their backs: nobody would care for a claim.
        self.pending.retain(|submit| !submit.answer.is_closed());
        self.answer_given_up();
        if self.pending.is_empty() {
            // No caller that met the outage waits any more.
            self.outage.passed();
        }
        let size = self.size(together);
        let submits: Vec<Submit> = self.pending.drain(..size).collect();
        self.waiting.set(self.pending.len());
        self.began = Instant::now();
        (!submits.is_empty()).then(|| Batch {
            writer: self.writer.take(),
            submits,
            waiting: Rc::clone(&self.waiting),
        })
    }

    /// Claims that nobody waits for are not tried, and hear that.
    fn answer_given_up(&mut self) {
        for submit in std::mem::take(&mut self.pending) {
            match submit.write.given_up() {
                Some(answer) => drop(submit.answer.send(Ok(answer))),
                None => self.pending.push_back(submit),
            }
        }
    }

    /// How many of those that wait go together. A barrier goes alone: it cannot be set aside, and
    /// nothing that came later may be done when it could not be. What is urgent does not wait for the statements of
    /// what is not.
    fn size(&self, together: Together) -> usize {
        let Some(first) = self.pending.front() else {
            return 0;
        };
        if first.write.is_barrier() {
            return usize::from(together != Together::AllWhoMayPass);
        }
        let goes_with_first = |submit: &Submit| match together {
            Together::All | Together::AllWhoMayPass => {
                !submit.write.is_barrier()
                    && submit.write.is_urgent() == first.write.is_urgent()
                    && submit.write.claims_a_fire() == first.write.claims_a_fire()
            }
            Together::OfOneTable => {
                let table = first.write.inserts_into();
                table.is_some() && submit.write.inserts_into() == table
            }
        };
        let mut rows = 0;
        let fits = self.pending.iter().take(MAX_BATCH).take_while(|submit| {
            rows += submit.write.rows();
            rows <= MAX_ROWS && goes_with_first(submit)
        });
        fits.count().max(1)
    }

    /// What was not tried goes back to the front of the queue, in its order.
    pub(super) fn committed(&mut self, committed: Committed) -> After {
        let mut after = After {
            pause: None,
            held: committed.held,
            held_by: committed.held_by,
            awaits: None,
        };
        if committed.unsure.is_some() {
            self.unsure = committed.unsure;
            after.pause = Some(self.failed(committed.away));
            return after;
        }
        let (fixed, held): (Vec<Submit>, Vec<Submit>) = std::mem::take(&mut after.held)
            .into_iter()
            .partition(|submit| submit.write.is_barrier());
        after.held = held;
        // While it waits for a lock all behind it wait too: for them the database is away.
        let waits = after.held_by.take_if(|_| !fixed.is_empty());
        for submit in fixed.into_iter().chain(committed.left).rev() {
            self.pending.push_front(submit);
        }
        self.waiting.set(self.pending.len());
        if let Some(cause) = committed.away.or(waits) {
            after.pause = Some(self.failed(Some(cause)));
            return after;
        }
        self.outage.passed();
        self.writer = committed.writer;
        if let Some((answered, waiting)) = committed.answered
            && only_inserts(&self.pending)
        {
            after.awaits = self.delay.answered(answered, waiting, MAX_BATCH);
        }
        after
    }

    /// The callers for which the next batch waits have had their time.
    pub(super) fn waits_no_longer(&mut self, number: WaitNumber) {
        self.delay.is_late(number, self.pending.len());
    }

    fn failed(&mut self, cause: Option<DbError>) -> Duration {
        let cause = cause.map_or_else(String::new, DbError::into_reason);
        self.outage.failed_after(self.began.elapsed(), cause)
    }
}

fn only_inserts<'a>(submits: impl IntoIterator<Item = &'a Submit>) -> bool {
    let mut writes = submits.into_iter().map(|submit| &submit.write);
    writes.all(|write| write.inserts_into().is_some())
}

/// Answers each write that was committed or refused.
pub(super) async fn commit(store: Arc<dyn Store>, batch: Batch) -> Committed {
    let Batch {
        writer,
        submits,
        waiting,
    } = batch;
    let only_inserts = only_inserts(&submits);
    let began = Instant::now();
    let writes: Arc<[Write]> = submits.iter().map(|submit| submit.write.clone()).collect();
    let apply = AssertUnwindSafe(apply(store.as_ref(), writer, writes)).catch_unwind();
    let Ok((writer, applied)) = apply.await else {
        log::error!(
            "{} writes panicked in the database's adapter",
            submits.len()
        );
        for submit in submits {
            let _ = submit.answer.send(Err(DbError::Restarted));
        }
        return Committed {
            writer: None,
            left: Vec::new(),
            away: None,
            unsure: None,
            held: Vec::new(),
            held_by: None,
            answered: None,
        };
    };
    if applied.away.is_none() {
        commits().note(began.elapsed(), submits.len());
    }
    let (waiting, mut delivered) = (waiting.get(), 0);
    let (mut rest, mut held, mut held_by) = (Vec::new(), Vec::new(), None);
    for (submit, outcome) in submits.into_iter().zip(applied.outcomes) {
        match outcome {
            // A caller that is gone does not need its answer. The dead letters are there all the same.
            Some(Outcome::Answered(answer)) => {
                if let Ok(written) = &answer {
                    publish_dead_letters(&submit.write, written);
                }
                delivered += usize::from(submit.answer.send(answer).is_ok())
            }
            Some(Outcome::Held(cause)) => {
                held.push(submit);
                held_by = Some(cause);
            }
            None => rest.push(submit),
        }
    }
    let all_answered = rest.is_empty() && held.is_empty();
    let answered = (only_inserts && all_answered).then_some((delivered, waiting));
    let (writer, left, unsure) = if applied.is_unsure {
        // From here on dropping the submits notifies their callers: the actor may be dead.
        let unsure = Unsure {
            writer,
            batch: rest,
        };
        (None, Vec::new(), Some(unsure))
    } else {
        (writer, rest, None)
    };
    Committed {
        writer,
        left,
        away: applied.away,
        unsure,
        held,
        held_by,
        answered,
    }
}

async fn apply(
    store: &dyn Store,
    writer: Option<Box<dyn Writer>>,
    writes: Arc<[Write]>,
) -> (Option<Box<dyn Writer>>, Applied) {
    let tried = writes.len();
    let opened = match writer {
        Some(writer) => Ok(writer),
        None => store.writer().await,
    };
    match opened {
        Ok(mut writer) => {
            let applied = writer.apply(writes).await;
            (Some(writer), applied)
        }
        Err(cause) => (None, Applied::none_of(tried).away(cause)),
    }
}
