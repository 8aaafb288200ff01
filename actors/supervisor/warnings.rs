//! What business code counts, while the daemon runs and at its stop.

use std::sync::Arc;

use tokio::time::Instant;

use crate::alert::Notifier;
use crate::alert::warning::{Counter, Outbox};
use crate::db::Db;
use crate::store::warnings::CountOrigin;
use crate::task::restart_on_panic;

/// The counts of this process, and the limits that this daemon sends.
#[derive(Clone)]
pub(crate) struct Warnings {
    pub(crate) counter: Counter,
    pub(crate) origin: Arc<CountOrigin>,
    pub(crate) outbox: Outbox,
}

impl Warnings {
    /// Before the daemon is ready: others leave to it what is reached from then on.
    pub(super) async fn announce(&self) {
        self.outbox.announce().await;
    }

    /// Both go on until the System ends.
    pub(super) fn start(&self, db: &Db) {
        let (counter, origin, db) = (self.counter.clone(), Arc::clone(&self.origin), db.clone());
        let reached = self.outbox.clone();
        actix_rt::spawn(async move {
            let what = "the writing of what is counted";
            restart_on_panic(what, || counter.write(&db, &origin, || reached.wake())).await;
        });
        let outbox = self.outbox.clone();
        actix_rt::spawn(async move {
            let what = "the poll for warnings to send";
            restart_on_panic(what, || outbox.run()).await;
        });
    }

    /// Nobody counts any more. What was counted is written, and what is reached by that is sent: **before the boot ends**, which
    /// releases what could not be sent. So a normal stop sends nothing twice, and loses nothing.
    pub(super) async fn finish(
        &self,
        notifier: &Notifier,
        notify_until: Instant,
        deadline: Instant,
    ) {
        self.counter.finish(notify_until).await;
        self.outbox.collect(notify_until).await;
        notifier.finish(notify_until).await;
        self.outbox.settled(deadline).await;
    }
}

#[cfg(test)]
impl Warnings {
    /// Of a test's daemon, which has no receivers.
    pub(super) fn silent(db: &Db) -> Self {
        Self {
            counter: Counter::new(),
            origin: Arc::new(CountOrigin {
                environment: "dev".to_owned(),
                partition: "script1".to_owned(),
                host: "here".to_owned(),
            }),
            outbox: Outbox::new(crate::alert::warning::OutboxConfig {
                db: db.clone(),
                notifier: Notifier::silent(),
                owner: "script1/test".to_owned(),
                environment: "dev".to_owned(),
                partition: "script1".to_owned(),
            }),
        }
    }
}
