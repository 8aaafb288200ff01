//! When each entry fires next, and which of its fires were missed.
//!
//! To work that out takes microseconds, and up to a second for an entry of every second that was away for long. So it is
//! done away from the System's thread, in portions, each by the clock as it is then: an entry fires as soon as it is
//! planned, and the fires of a second begin before the next ones are planned.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::claim::is_late;
use super::misfire::{self, Missed};
use super::{CronActor, FireDue, LiveEntry, fire};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::orders::PauseKind;
use crate::sleep::sleep;

/// A clock that goes back by more than this has jumped; less is a correction, which needs nothing.
const JUMP_BACK_MS: i64 = 5_000;
/// Entries in one portion: a tenth of a second where all of them have a thousand missed fires to be counted.
const PORTION: usize = 32;

/// The sleep until the timer rings.
pub(super) struct Wake {
    /// For this second; none if no entry is due soon.
    second: Option<i64>,
    sleep: SpawnHandle,
}

/// From when on the fires of an entry are to be checked.
struct Span {
    entry: Arc<LiveEntry>,
    from: i64,
}

struct Planned {
    entry: Arc<LiveEntry>,
    missed: Missed,
    due: Option<i64>,
}

impl Span {
    /// After the clock went back an entry is due by the clock as it is now. A series keeps its rhythm: it is due in the
    /// same seconds as before, those that come a second time among them.
    fn after_jump_back(entry: Arc<LiveEntry>, due: Option<i64>, now: i64) -> Self {
        let every = entry.config.schedule.every().map(millis);
        let from = match (every, due) {
            (Some(every), Some(due)) => now - (now - due).rem_euclid(every.max(1)),
            _ => now,
        };
        Self { entry, from }
    }

    fn plan(self, now: i64, grace: Duration) -> Planned {
        let missed = misfire::missed(&self.entry, self.from, now, grace);
        Planned {
            due: self.entry.next_after(missed.planned_from),
            missed,
            entry: self.entry,
        }
    }
}

impl CronActor {
    /// Plans all entries, each from when its fires are to be made.
    pub(super) fn plan_since(&mut self, since: &[i64], ctx: &mut Context<Self>) {
        let now = now_ms();
        let config = Arc::clone(&self.config);
        let entries = config.entries.iter().zip(since);
        // After a reload the others are planned already.
        let new = entries.filter(|(entry, _)| self.planned.insert(entry.key.clone()));
        let new: Vec<_> = new.collect();
        let spans = new.into_iter().map(|(entry, since)| Span {
            entry: Arc::clone(entry),
            // A clock that went back since then skips nothing.
            from: self.not_paused_since(entry, *since.min(&now), now),
        });
        self.plan(spans.collect(), ctx);
    }

    /// A portion now, the rest when that is done.
    fn plan(&mut self, mut spans: Vec<Span>, ctx: &mut Context<Self>) {
        if spans.is_empty() {
            return;
        }
        let rest = spans.split_off(spans.len().min(PORTION));
        let (now, grace) = (now_ms(), self.config.misfire_grace);
        let jumps_back = self.jumps_back;
        let work = move || -> Vec<Planned> {
            let planned = spans.into_iter().map(|span| span.plan(now, grace));
            planned.collect()
        };
        let work = actix_rt::task::spawn_blocking(work).into_actor(self);
        ctx.spawn(work.map(move |planned, actor, ctx| match planned {
            Ok(planned) => {
                actor.planned(planned, jumps_back, ctx);
                actor.plan(rest, ctx);
            }
            // It panicked: begun anew, by the owner, nothing is left out.
            Err(cause) => {
                log::error!("cron begins anew: its fires could not be planned: {cause}");
                ctx.stop();
            }
        }));
    }

    /// Deals with what was not made in time, and waits for the next ones.
    fn planned(&mut self, planned: Vec<Planned>, jumps_back: u64, ctx: &mut Context<Self>) {
        let mut again = Vec::new();
        for Planned { entry, missed, due } in planned {
            let Some(entry) = self.current(&entry) else {
                continue;
            };
            log_missed(&entry, &missed);
            for scheduled_ms in missed.fire {
                self.fire(&entry, scheduled_ms);
            }
            if due.is_none() {
                log::warn!("cron `{}`: never fires again", entry.config.name);
            }
            match jumps_back == self.jumps_back {
                true => {
                    entry.state.planned(due);
                    self.timer.add(due, entry);
                }
                // The clock went back meanwhile.
                false => again.push(Span::after_jump_back(entry, due, now_ms())),
            }
        }
        self.plan(again, ctx);
        self.set_timer(ctx);
    }

    /// Fires what is due, late ones within the grace; what is later than that is a misfire.
    pub(super) fn ring(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let now = now_ms();
        if now < self.last_ring_ms - JUMP_BACK_MS {
            self.replan_after_jump_back(now, ctx);
        }
        self.last_ring_ms = now;
        self.cancel_wake(ctx);
        let grace = millis(self.config.misfire_grace);
        let mut spans = Vec::new();
        for (due, entry) in self.timer.take_due(now) {
            let from = if now - due <= grace {
                self.fire(&entry, due);
                due
            } else {
                // The clock jumped forward, or the machine slept.
                let before = due - entry.config.schedule.every().map_or(1, millis);
                self.not_paused_since(&entry, before, now)
            };
            spans.push(Span { entry, from });
        }
        self.plan(spans, ctx);
        self.set_timer(ctx);
    }

    /// The clock went back: every entry is due by the clock as it is now. Seconds that come a second time fire nothing:
    /// their rows are there.
    fn replan_after_jump_back(&mut self, now: i64, ctx: &mut Context<Self>) {
        log::warn!(
            "the clock went back by {:.1} s; cron follows it, and fires nothing twice",
            Duration::from_millis(self.last_ring_ms.abs_diff(now)).as_secs_f64()
        );
        self.jumps_back += 1;
        let all = self.timer.take_all().into_iter();
        let spans = all.map(|(due, entry)| Span::after_jump_back(entry, due, now));
        self.plan(spans.collect(), ctx);
    }

    /// Sleeps until the next entry is due, unless that sleep has begun: entries are planned in portions.
    pub(super) fn set_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer.schedule_soon(now_ms());
        let second = self.timer.next_ms();
        let sleeps = self.wake.as_ref();
        if sleeps.is_some_and(|wake| wake.second == second) {
            return;
        }
        self.cancel_wake(ctx);
        let Some(wait) = self.timer.wait() else {
            return;
        };
        let ring = sleep(wait).into_actor(self);
        let sleep = ctx.spawn(ring.map(|(), _, ctx| ctx.notify(FireDue)));
        self.wake = Some(Wake { second, sleep });
    }

    fn cancel_wake(&mut self, ctx: &mut Context<Self>) {
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake.sleep);
        }
    }

    /// A resume begins anew: what was not made before it is no misfire, and is not made up for.
    fn not_paused_since(&self, entry: &LiveEntry, from: i64, now: i64) -> i64 {
        let pauses = &self.config.pauses;
        pauses.last_end(PauseKind::Cron, &entry.config.name, from, now)
    }

    fn fire(&mut self, entry: &Arc<LiveEntry>, scheduled_ms: i64) {
        if self.stop.begun() {
            return;
        }
        let name = &entry.config.name;
        if self
            .config
            .pauses
            .cover(PauseKind::Cron, name, scheduled_ms)
        {
            entry.state.paused();
            log::debug!(
                "cron `{name}`: paused, so {} is not fired",
                entry.shown(scheduled_ms)
            );
            return;
        }
        let Some(spawner) = self.spawner() else {
            return;
        };
        if is_late(scheduled_ms) {
            let backlog = &self.config.backlog;
            return backlog.add(&self.config, entry, scheduled_ms, &spawner);
        }
        let starting = self.config.starting.begin();
        let (config, entry) = (Arc::clone(&self.config), Arc::clone(entry));
        // Not in this actor's context: an end of the actor must not leave a claimed fire without its process.
        actix_rt::spawn(fire::run(config, entry, scheduled_ms, spawner, starting));
    }
}

fn log_missed(entry: &LiveEntry, missed: &Missed) {
    if missed.skipped == 0 {
        return;
    }
    entry.state.missed(missed.skipped - missed.made_up);
    log::error!(
        "cron `{}`: {} fires up to {} were missed{}",
        entry.config.name,
        missed.skipped_text(),
        entry.shown(missed.until),
        match missed.made_up {
            0 => String::new(),
            n if n > 1 && entry.config.overlap != Overlap::Allow => {
                format!(", {n} of them are made up for now, one after another")
            }
            n => format!(", {n} of them are made up for now"),
        }
    );
}

#[cfg(test)]
mod tests;
