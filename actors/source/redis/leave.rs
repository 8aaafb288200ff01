//! The end of this boot.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::RedisSource;
use super::keeper::{Acquaintance, Beat};
use super::open::{Batches, Hurry};
use super::scripts::LEAVE;
use super::server::Answer;

impl RedisSource {
    /// The end of this boot: everything is told, and what is left is given back.
    pub(super) async fn leave(&self, within: Duration) {
        let generation = self.liveness.generation();
        let gave_up = |why: &str| {
            log::warn!(
                "queue `{}`: what this daemon still holds is given back by others, when its heartbeats have stopped for long enough: {why}",
                self.queue()
            );
        };
        let left = async {
            // Waits for questions that are under way, and keeps the next ones from being asked.
            let (_look, _second) = tokio::join!(self.look.lock(), self.second_look.lock());
            self.tell(Hurry::No).await;
            self.leave_nothing(generation).await
        };
        if self.server().is_down() {
            gave_up("its server is away");
        } else {
            match tokio::time::timeout(within, left).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => gave_up(fault.text()),
                Err(_) => gave_up("its server did not answer in time"),
            }
        }
        self.closed.store(true, Ordering::Release);
        *self.lock_batches() = Batches::default();
    }

    async fn leave_nothing(&self, generation: u64) -> Answer<()> {
        let registration = self.registration.lock().await;
        self.closed.store(true, Ordering::Release);
        if registration.generation != Some(generation) {
            return Ok(());
        }
        if let Beat::Alive { mut numbers, .. } =
            self.ask_for_life(generation, Acquaintance::Known).await?
        {
            // The youngest first: the oldest message comes to lie at the right end.
            numbers.sort_unstable();
            for number in numbers.into_iter().rev() {
                self.give_back(generation, number).await?;
            }
        }
        let mut script = LEAVE.key(self.config.key.as_str());
        script.arg(&*self.boot_in(generation));
        self.server().run::<i64>(&script).await.map(drop)
    }
}
