//! What dead boots held goes to the living: those whose heartbeats stopped, and those whose slot file was found.

use super::RedisSource;
use super::fault::Fault;
use super::scripts::{BURY, CHARGE};
use super::server::Answer;
use crate::clock::millis;
use crate::source::{Burial, SourceError};

impl RedisSource {
    /// Gives back what dead boots held: those whose heartbeats stopped, or the one that is named.
    pub(super) async fn bury_all(&self, named: &str) -> Answer<()> {
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
        if self
            .buried
            .lock()
            .is_ok_and(|buried| buried.contains(&burial.boot))
        {
            return Ok(());
        }
        let own = self.name.as_str();
        let buried = async {
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
            self.bury_all(&burial.boot).await
        };
        buried
            .await
            .map_err(|fault: Fault| SourceError::Said(fault.text().to_owned()))?;
        if let Ok(mut buried) = self.buried.lock() {
            buried.insert(burial.boot.clone());
        }
        Ok(())
    }
}
