//! Releases the messages of dead boots: boots whose heartbeats stopped, and boots whose slot file was found.

use std::collections::{BTreeMap, BTreeSet};

use super::RedisSource;
use super::error::Fault;
use super::scripts::{CHARGE, RECOVER};
use super::server::Answer;
use crate::clock::millis;
use crate::source::{Recovery, SourceError};

/// Dead boots of this machine. Their files may be found more than once.
#[derive(Default)]
pub(super) struct Recoveries {
    /// The server has recorded their crashes, and has released the messages they held.
    done: BTreeSet<String>,
    /// The server has not answered yet.
    awaited: BTreeMap<String, Recovery>,
}

impl RedisSource {
    /// Releases the messages of boots whose heartbeats stopped. Crashes that this daemon has found and the server does
    /// not know are recorded first: while the server was away those heartbeats stopped too, and a message that came
    /// back without its crash would count the next crash as the first.
    pub(super) async fn recover_silent(&self) -> Answer<()> {
        let awaited: Vec<Recovery> = self.recoveries.lock().awaited.values().cloned().collect();
        for recovery in &awaited {
            self.charge(recovery).await?;
        }
        self.recover_all("").await
    }

    /// Releases the messages of dead boots: of all boots whose heartbeats stopped, or of the named one.
    async fn recover_all(&self, named: &str) -> Answer<()> {
        let me = self.boot.in_generation(self.boot.liveness.generation());
        let mut messages = 0;
        loop {
            let mut script = RECOVER.key(self.config.key.as_str());
            script.arg(&*me).arg(named);
            let recovered: Option<(String, usize, String)> = self.server().run(&script).await?;
            let Some((boot, given_back, rest)) = recovered else {
                return Ok(());
            };
            messages += given_back;
            self.wake.notify_one();
            if rest == "done" {
                if messages > 0 {
                    log::warn!(
                        "queue `{}`: {messages} messages that the dead daemon {boot} held are given back",
                        self.queue()
                    );
                }
                messages = 0;
            }
        }
    }

    /// Records the crashes that the slots of a dead daemon show first: its messages then come back with them.
    pub(super) async fn recover_dead(&self, recovery: &Recovery) -> Result<(), SourceError> {
        if self.recoveries.lock().done.contains(&recovery.boot) {
            return Ok(());
        }
        self.await_recovery(recovery);
        let recovered = async {
            self.charge(recovery).await?;
            self.recover_all(&recovery.boot).await
        };
        recovered
            .await
            .map_err(|fault: Fault| SourceError::Said(fault.text().to_owned()))?;
        let mut recoveries = self.recoveries.lock();
        recoveries.awaited.remove(&recovery.boot);
        recoveries.done.insert(recovery.boot.clone());
        Ok(())
    }

    pub(super) fn await_recovery(&self, recovery: &Recovery) {
        let awaited = recovery.clone();
        self.recoveries
            .lock()
            .awaited
            .insert(recovery.boot.clone(), awaited);
    }

    /// May be repeated: a death is charged once for each boot.
    async fn charge(&self, recovery: &Recovery) -> Answer<()> {
        let own = self.name.as_str();
        for death in recovery.deaths.iter().filter(|death| death.source == own) {
            let after = self.config.rules.backoff.delay(death.attempt, 0.5);
            let mut script = CHARGE.key(self.config.key.as_str());
            script
                .arg(&death.id)
                .arg(&recovery.boot)
                .arg(u8::from(death.certain))
                .arg(millis(after))
                .arg(&death.how);
            let _: i64 = self.server().run(&script).await?;
        }
        Ok(())
    }
}
