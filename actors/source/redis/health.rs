//! The task that sends heartbeats for this boot, and releases the messages of boots whose heartbeats stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::error::Fault;
use super::list::List;
use super::recovery::Recoveries;
use super::registration::Registration;
use super::trouble::Deed;
use crate::task::{caught, panic_point};

/// Pause before the next heartbeat after one that panicked.
const PANIC_PAUSE: Duration = Duration::from_millis(500);

/// See the module's header.
pub(super) struct Health {
    list: Arc<List>,
    registration: Arc<Registration>,
    recoveries: Arc<Recoveries>,
    /// The task has been started.
    opened: AtomicBool,
}

impl Health {
    pub(super) fn new(
        list: &Arc<List>,
        registration: &Arc<Registration>,
        recoveries: &Arc<Recoveries>,
    ) -> Arc<Self> {
        Arc::new(Self {
            list: Arc::clone(list),
            registration: Arc::clone(registration),
            recoveries: Arc::clone(recoveries),
            opened: AtomicBool::new(false),
        })
    }

    /// Starts the task. Does nothing the second time.
    pub(super) fn open(self: &Arc<Self>) {
        if !self.opened.swap(true, Ordering::AcqRel) {
            self.list.home.spawn(keep(Arc::downgrade(self)));
        }
    }

    /// Returns the pause before the next heartbeat.
    async fn keep_once(&self) -> Duration {
        panic_point("redis heartbeat", self.list.key());
        let server = self.list.server();
        let turn = server.turn().await;
        let kept = async {
            self.registration.beat().await?;
            if self.registration.boot.liveness.may_judge() {
                self.recoveries.recover_silent().await?;
            }
            Ok(())
        };
        match kept.await {
            Ok(()) => {
                server.wrote();
                self.list.trouble.accepted(Deed::Beat);
                self.list.config.heartbeat_interval
            }
            Err(Fault::Away(why)) => {
                server.failed(&why, turn.as_ref());
                Duration::ZERO
            }
            Err(Fault::Refused(why)) => {
                server.answered();
                self.list.trouble.refused(Deed::Beat, &why)
            }
        }
    }
}

/// Sends heartbeats until the source is dropped or closed.
async fn keep(health: Weak<Health>) {
    while let Some(health) = health.upgrade() {
        if health.registration.is_closed() {
            return;
        }
        let pause = match caught(health.keep_once()).await {
            Ok(pause) => pause,
            // Without heartbeats other daemons would take over the messages of this one.
            Err(panic) => {
                let queue = health.list.queue();
                log::error!("queue `{queue}`: a heartbeat failed: {panic}");
                PANIC_PAUSE
            }
        };
        drop(health);
        tokio::time::sleep(pause).await;
    }
}
