//! What a reload of the configuration asks of a pool: other limits, or its end.
//!
//! **There are never more consumers at work than the entry allows.** With another `timeout` or `batch_…` each consumer is
//! replaced, and the new one begins when the old one has ended: an entry with `progress` 1 has its messages handled one by
//! one, before a reload, after it and meanwhile.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::{PoolActor, counted_to};
use crate::config::{BatchLimits, PoolLimits};
use crate::source::Source;

/// Why a pool grows or shrinks.
pub(super) const CHANGED: &str = "its entry was changed";

/// How long a source that is closed may take to leave its server.
pub(crate) const TIME_TO_LEAVE: Duration = Duration::from_secs(30);

/// The entry has these values now. Consumers stay where only their number changes.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct Tune {
    pub(crate) limits: PoolLimits,
    pub(crate) timeout: Option<Duration>,
    pub(crate) batch: BatchLimits,
}

/// The entry is gone, or another pool follows: nobody takes new messages, what was fetched and not begun is released, and
/// what runs ends, however long it takes. Answered when the source is closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

impl PoolActor {
    pub(super) fn tune(&mut self, tune: Tune, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let work = &mut self.config.work;
        let is_other_work = (work.timeout, work.batch) != (tune.timeout, tune.batch);
        work.timeout = tune.timeout;
        work.batch = tune.batch;
        work.source.count_lag_to(counted_to(&tune.limits));
        self.config.limits = tune.limits;
        if is_other_work {
            for member in self.members.values_mut().filter(|member| !member.leaving) {
                member.leaving = true;
                member.is_followed = true;
                member.stop.quiet();
            }
        }
        self.is_tuned = true;
        self.reconcile(ctx);
        self.is_tuned = false;
        self.check_lag(ctx);
    }

    pub(super) fn retire(&mut self) -> ResponseFuture<()> {
        self.is_retired = true;
        self.stop.quiet();
        let mut alive = self.alive.subscribe();
        let closing = self.closing();
        Box::pin(async move {
            // The sender lives as long as the actor; without it nobody is left.
            let _ = alive.wait_for(|alive| *alive == 0).await;
            closing.close(TIME_TO_LEAVE).await;
        })
    }

    pub(super) fn closing(&self) -> Closing {
        Closing {
            source: Arc::clone(&self.config.work.source),
            is_closed: Arc::clone(&self.is_closed),
        }
    }
}

/// The end of a pool's source, after that of its last consumer; see [`Source::close`].
pub(super) struct Closing {
    source: Arc<dyn Source>,
    is_closed: Arc<tokio::sync::Mutex<bool>>,
}

impl Closing {
    /// Closes the source, once: a stop may come while a retired pool does it.
    pub(super) async fn close(self, within: Duration) {
        let close = async {
            let mut is_closed = self.is_closed.lock().await;
            if !*is_closed {
                self.source.close(within).await;
                *is_closed = true;
            }
        };
        // The other one may have more time.
        if tokio::time::timeout(within, close).await.is_err() {
            log::debug!("a source is being closed for longer than {within:?}");
        }
    }
}

impl Handler<Tune> for PoolActor {
    type Result = ();

    fn handle(&mut self, tune: Tune, ctx: &mut Self::Context) {
        self.tune(tune, ctx);
    }
}

impl Handler<Retire> for PoolActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Retire, _: &mut Self::Context) -> Self::Result {
        self.retire()
    }
}
