//! The end of this boot at the server.

use std::time::Duration;

use super::RedisSource;
use super::batches::{Batches, Hurry};

/// The longest that a stop waits for a server that was away just before. The first attempt may use a connection that is
/// dead, the next ones may find a server that is still loading its data.
const LAST_TRIES: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

impl RedisSource {
    /// Reports all ends, releases the messages that are left, and ends this boot.
    pub(super) async fn leave(&self, within: Duration) {
        let generation = self.registration.boot.liveness.generation();
        let gave_up = |why: &str| {
            log::warn!(
                "queue `{}`: other daemons release the messages that this daemon still holds, once its heartbeats are overdue: {why}",
                self.list.queue()
            );
        };
        let left = async {
            let _none_asks = self.polling.pollers.both().await;
            self.settling.reports.report_due(Hurry::No).await;
            // The last check whether the server has gone back to an older state; if so, it puts back the messages held
            // here.
            self.registration.beat().await?;
            self.registration.leave(generation).await
        };
        if self.list.server().is_down() && !self.is_back(within).await {
            gave_up("its server is away");
        } else {
            match tokio::time::timeout(within, left).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => gave_up(fault.text()),
                Err(_) => gave_up("its server did not answer in time"),
            }
        }
        self.registration.close();
        *self.settling.batches.lock() = Batches::default();
    }

    /// The server may have come back since the last attempt without the messages held here: then no other daemon could
    /// release them.
    async fn is_back(&self, within: Duration) -> bool {
        let back = async {
            while self.registration.beat().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        let is_back = tokio::time::timeout(within.min(LAST_TRIES), back)
            .await
            .is_ok();
        if is_back {
            self.list.server().wrote();
        }
        is_back
    }
}
