//! Releases the messages of dead boots: boots whose heartbeats stopped, and boots whose slot file was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::Fault;
use super::list::List;
use super::pollers::Pollers;
use super::registration::Registration;
use super::scripts::{RECORD_CRASH, RECOVER};
use super::server::Answer;
use crate::clock::millis;
use crate::source::{Recovery, SourceError};

/// See the module's header.
pub(super) struct Recoveries {
    list: Arc<List>,
    registration: Arc<Registration>,
    pollers: Arc<Pollers>,
    dead_boots: Mutex<DeadBoots>,
}

/// Dead boots of this machine. Their slot files may be found more than once.
#[derive(Default)]
struct DeadBoots {
    /// The server has recorded their crashes, and has released the messages they held.
    done: BTreeSet<String>,
    /// The server has not answered for these yet.
    awaited: BTreeMap<String, Recovery>,
}

impl Recoveries {
    pub(super) fn new(
        list: &Arc<List>,
        registration: &Arc<Registration>,
        pollers: &Arc<Pollers>,
    ) -> Arc<Self> {
        Arc::new(Self {
            list: Arc::clone(list),
            registration: Arc::clone(registration),
            pollers: Arc::clone(pollers),
            dead_boots: Mutex::default(),
        })
    }

    /// Releases the messages of boots whose heartbeats stopped. Crashes that this daemon has found and the server does not
    /// know are recorded first: heartbeats also stop while the server is away, and a message that came back without its
    /// crash would count the next crash as the first.
    pub(super) async fn recover_silent(&self) -> Answer<()> {
        let awaited: Vec<Recovery> = self.dead_boots.lock().awaited.values().cloned().collect();
        for recovery in &awaited {
            self.record_crash(recovery).await?;
        }
        self.recover_all("").await
    }

    /// Releases the messages of dead boots: of all boots whose heartbeats stopped, or of the named one.
    async fn recover_all(&self, named: &str) -> Answer<()> {
        let me = self.registration.boot.present();
        let mut messages = 0;
        loop {
            let mut script = RECOVER.key(self.list.key());
            script.arg(&*me).arg(named);
            let recovered: Option<(String, usize, String)> =
                self.list.server().run(&script).await?;
            let Some((boot, released, rest)) = recovered else {
                return Ok(());
            };
            messages += released;
            self.pollers.wake();
            if rest == "done" {
                if messages > 0 {
                    log::warn!(
                        "queue `{}`: {messages} messages that the dead daemon {boot} held are released",
                        self.list.queue()
                    );
                }
                messages = 0;
            }
        }
    }

    /// Records the crashes that the slots of a dead daemon show, then releases its messages, which come back with them.
    pub(super) async fn recover_dead(&self, recovery: &Recovery) -> Result<(), SourceError> {
        if self.dead_boots.lock().done.contains(&recovery.boot) {
            return Ok(());
        }
        self.await_recovery(recovery);
        let recovered = async {
            self.record_crash(recovery).await?;
            self.recover_all(&recovery.boot).await
        };
        recovered
            .await
            .map_err(|fault: Fault| SourceError::Said(fault.text().to_owned()))?;
        let mut dead_boots = self.dead_boots.lock();
        dead_boots.awaited.remove(&recovery.boot);
        dead_boots.done.insert(recovery.boot.clone());
        Ok(())
    }

    pub(super) fn await_recovery(&self, recovery: &Recovery) {
        let awaited = recovery.clone();
        self.dead_boots
            .lock()
            .awaited
            .insert(recovery.boot.clone(), awaited);
    }

    /// Records the crashes. May be repeated: a crash is recorded once for each boot.
    async fn record_crash(&self, recovery: &Recovery) -> Answer<()> {
        let own = self.list.name.as_str();
        for death in recovery.deaths.iter().filter(|death| death.source == own) {
            let after = self.list.config.rules.backoff.delay(death.attempt, 0.5);
            let mut script = RECORD_CRASH.key(self.list.key());
            script
                .arg(&death.id)
                .arg(&recovery.boot)
                .arg(u8::from(death.certain))
                .arg(millis(after))
                .arg(&death.how);
            let _: i64 = self.list.server().run(&script).await?;
        }
        Ok(())
    }
}
