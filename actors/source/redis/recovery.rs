//! What dead boots held goes to the living: those whose heartbeats stopped, and those whose slot file was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use super::RedisSource;
use super::error::Fault;
use super::scripts::{CHARGE, RECOVER};
use super::server::Answer;
use crate::clock::millis;
use crate::source::{Recovery, SourceError};

/// Dead boots of this machine. Their files may be found more than once.
#[derive(Default)]
pub(super) struct Recoveries {
    /// The server knows of their deaths, and has given back what they held.
    done: BTreeSet<String>,
    /// The server has not answered yet.
    awaited: BTreeMap<String, Recovery>,
}

impl RedisSource {
    /// Gives back what boots held whose heartbeats stopped. Deaths that this daemon has found and the server does not know
    /// are charged first: while it was away those heartbeats stopped too, and a message that comes back uncharged would
    /// count its next death as the first.
    pub(super) async fn recover_silent(&self) -> Answer<()> {
        let awaited: Vec<Recovery> = self.recoveries().awaited.values().cloned().collect();
        for recovery in &awaited {
            self.charge(recovery).await?;
        }
        self.bury_all("").await
    }

    fn recoveries(&self) -> MutexGuard<'_, Recoveries> {
        self.recoveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what dead boots held: those whose heartbeats stopped, or the one that is named.
    async fn bury_all(&self, named: &str) -> Answer<()> {
        let me = self.boot_in(self.liveness.generation());
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

    /// What the slots of a dead daemon say is noted first: its messages then come back with it.
    pub(super) async fn bury_dead(&self, recovery: &Recovery) -> Result<(), SourceError> {
        if self.recoveries().done.contains(&recovery.boot) {
            return Ok(());
        }
        self.await_burial(recovery);
        let recovered = async {
            self.charge(recovery).await?;
            self.bury_all(&recovery.boot).await
        };
        recovered
            .await
            .map_err(|fault: Fault| SourceError::Said(fault.text().to_owned()))?;
        let mut recoveries = self.recoveries();
        recoveries.awaited.remove(&recovery.boot);
        recoveries.done.insert(recovery.boot.clone());
        Ok(())
    }

    pub(super) fn await_burial(&self, recovery: &Recovery) {
        let awaited = recovery.clone();
        self.recoveries()
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
