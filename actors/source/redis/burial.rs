//! What dead boots held goes to the living: those whose heartbeats stopped, and those whose slot file was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use super::RedisSource;
use super::fault::Fault;
use super::scripts::{BURY, CHARGE};
use super::server::Answer;
use crate::clock::millis;
use crate::source::{Burial, SourceError};

/// Dead boots of this machine. Their files may be found more than once.
#[derive(Default)]
pub(super) struct Burials {
    /// The server knows of their deaths, and has given back what they held.
    done: BTreeSet<String>,
    /// The server has not answered yet.
    awaited: BTreeMap<String, Burial>,
}

impl RedisSource {
    /// Gives back what boots held whose heartbeats stopped. Deaths that this daemon has found and the server does not know
    /// are charged first: while it was away those heartbeats stopped too, and a message that comes back uncharged would
    /// count its next death as the first.
    pub(super) async fn bury_silent(&self) -> Answer<()> {
        let awaited: Vec<Burial> = self.burials().awaited.values().cloned().collect();
        for burial in &awaited {
            self.charge(burial).await?;
        }
        self.bury_all("").await
    }

    fn burials(&self) -> MutexGuard<'_, Burials> {
        self.burials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what dead boots held: those whose heartbeats stopped, or the one that is named.
    async fn bury_all(&self, named: &str) -> Answer<()> {
        let me = self.boot_in(self.liveness.generation());
        let mut messages = 0;
        loop {
            let mut script = BURY.key(self.config.key.as_str());
            script.arg(&*me).arg(named);
            let buried: Option<(String, usize, String)> = self.server().run(&script).await?;
            let Some((boot, given_back, rest)) = buried else {
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
    pub(super) async fn bury_dead(&self, burial: &Burial) -> Result<(), SourceError> {
        if self.burials().done.contains(&burial.boot) {
            return Ok(());
        }
        self.await_burial(burial);
        let buried = async {
            self.charge(burial).await?;
            self.bury_all(&burial.boot).await
        };
        buried
            .await
            .map_err(|fault: Fault| SourceError::Said(fault.text().to_owned()))?;
        let mut burials = self.burials();
        burials.awaited.remove(&burial.boot);
        burials.done.insert(burial.boot.clone());
        Ok(())
    }

    pub(super) fn await_burial(&self, burial: &Burial) {
        let awaited = burial.clone();
        self.burials().awaited.insert(burial.boot.clone(), awaited);
    }

    /// May be repeated: a death is charged once for each boot.
    async fn charge(&self, burial: &Burial) -> Answer<()> {
        let own = self.name.as_str();
        for death in burial.deaths.iter().filter(|death| death.source == own) {
            let after = self.config.rules.backoff.delay(death.attempt, 0.5);
            let mut script = CHARGE.key(self.config.key.as_str());
            script
                .arg(&death.id)
                .arg(&burial.boot)
                .arg(u8::from(death.certain))
                .arg(millis(after))
                .arg(&death.how);
            let _: i64 = self.server().run(&script).await?;
        }
        Ok(())
    }
}
