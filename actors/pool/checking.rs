//! The check of the lag: one question at a time, with a limit to its patience.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::timeout;

use super::PoolActor;

/// How long a read of the lag may take; after that the lag is not known. Shorter than the pause between two checks
/// usually is, longer than anything takes that will still be answered.
const LAG_PATIENCE: Duration = Duration::from_secs(30);

impl PoolActor {
    /// Asks for the lag; one question at a time.
    pub(super) fn check_lag(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        if std::mem::replace(&mut self.checking, true) {
            self.check_again = true;
            return;
        }
        let source = Arc::clone(&self.config.work.source);
        let lag = async move { timeout(LAG_PATIENCE, source.lag()).await };
        ctx.spawn(lag.into_actor(self).map(|lag, pool, ctx| {
            pool.checking = false;
            let lag = match lag {
                Ok(Ok(lag)) => Some(lag),
                // Each source logs its outages, in two lines.
                Ok(Err(cause)) => {
                    log::debug!("queue `{}`: the lag cannot be read: {cause}", pool.queue());
                    None
                }
                Err(_) => pool.lag_timed_out(),
            };
            if lag.is_some() && std::mem::take(&mut pool.lag_unknown) {
                log::info!("queue `{}`: the source reports its lag again", pool.queue());
            }
            pool.checked(lag, ctx);
            if std::mem::take(&mut pool.check_again) {
                pool.check_lag(ctx);
            }
        }));
    }

    /// Logs one line for an outage, however many checks it lasts.
    fn lag_timed_out(&mut self) -> Option<u64> {
        if !std::mem::replace(&mut self.lag_unknown, true) {
            log::warn!(
                "queue `{}`: the source did not report its lag within {LAG_PATIENCE:?}; the pool keeps its size until it does",
                self.queue()
            );
        }
        None
    }
}
