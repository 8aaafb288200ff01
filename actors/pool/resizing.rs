//! How many consumers there are to be, and why: the lag, leases, and what the source has a use for.

use std::num::NonZeroU32;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::time::Instant;

use super::reloading::CHANGED;
use super::{PoolActor, sizing};
use crate::pool::sizing::counted_to;
use crate::rate::HoldsBack;
use crate::source::Limit;

impl PoolActor {
    /// Sizes the pool by what a check found; `None` where the lag could not be read.
    pub(super) fn checked(&mut self, lag: Option<u64>, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let now = Instant::now();
        self.last_lag = lag;
        self.publish_lag(lag);
        let holds_back = self.config.work.rate.holds_back();
        self.is_rate_limited = holds_back == HoldsBack::Reached;
        let reached = self.rate_limited();
        self.config.work.state.set_held_back(reached);
        match lag {
            None => self.leases.keep_all(now),
            // More consumers would have nothing to do.
            Some(_) if self.config.work.paused.is_on() => {}
            // More would start no more, or nobody knows yet.
            Some(_) if holds_back != HoldsBack::No => {}
            Some(lag) => {
                log::debug!("queue `{}` has a lag of {lag}", self.queue());
                let limits = &self.config.limits;
                let ceiling = sizing::ceiling(limits, self.limit().map(|limit| limit.ceiling));
                let asked = sizing::wanted(limits, ceiling, lag);
                self.leases.want(asked - limits.progress.get(), now);
            }
        }
        self.reconcile(ctx);
    }

    /// Starts the consumers that are missing, ends those that are too many, and comes back when the next
    /// lease is over.
    pub(super) fn reconcile(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let now = Instant::now();
        let leased = self.leases.held(now);
        let limits = &self.config.limits;
        // A reload may have lowered `max_progress`, or raised `progress`: the leases were granted by the earlier
        // values.
        let most = limits.max_progress.map_or(u32::MAX, NonZeroU32::get);
        let size = limits.progress.get().saturating_add(leased).min(most);
        let size = self.useful(size);
        self.log_growth(size);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let staying = self.members.values().filter(|m| !m.leaving).count();
        // Those that others follow keep their places until they have ended.
        let followed = self.members.values().filter(|m| m.is_followed).count();
        if !self.replacing {
            for _ in staying + followed..size {
                self.start_consumer(ctx);
            }
        }
        if staying > size {
            let why = self.why_smaller(size);
            log::info!(
                "queue `{}` shrinks from {staying} to {size} consumers: {why}",
                self.queue()
            );
            let state = &self.config.work.state;
            state.resized(narrow(staying), narrow(size), &why);
            // The youngest leave.
            let leaving = self.members.values_mut().rev().filter(|m| !m.leaving);
            for member in leaving.take(staying - size) {
                member.leaving = true;
                member.stop.quiet();
            }
        }
        self.publish_size();
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(end) = self.leases.next_end() {
            let wait = end.saturating_duration_since(now);
            self.timer = Some(ctx.run_later(wait, |pool, ctx| {
                pool.timer = None;
                pool.reconcile(ctx);
            }));
        }
    }

    /// The size it is to have. Those at rest are no growth, nor is one in the place of a dead one.
    fn log_growth(&mut self, size: u32) {
        let rest = self.useful(self.config.limits.progress.get());
        let before = std::mem::replace(&mut self.size, size);
        let before = if self.is_tuned {
            before
        } else {
            before.max(rest)
        };
        if size > before {
            let why = match self.last_lag {
                _ if self.is_tuned => CHANGED.to_owned(),
                Some(lag) => format!(
                    "its lag of {} is above {}",
                    self.shown(lag),
                    self.config.limits.lag_limit
                ),
                None => "this process has work for more".to_owned(),
            };
            log::info!(
                "queue `{}` grows from {before} to {size} consumers: {why}",
                self.queue()
            );
            self.config.work.state.resized(before, size, &why);
        }
    }

    fn publish_lag(&self, lag: Option<u64>) {
        if self.is_retired {
            return;
        }
        let state = &self.config.work.state;
        let is_table = state.facts().kind == "table";
        let is_capped = is_table && lag.is_some_and(|lag| lag >= counted_to(&self.config.limits));
        state.lag_checked(lag, is_capped);
        if lag.is_some() {
            state.oldest_was_due(self.config.work.source.oldest_due_ms());
        }
    }

    /// How many consumers there are to be, how many there are, and how many there may be.
    pub(super) fn publish_size(&self) {
        if self.is_retired {
            return;
        }
        let present = self.members.values().filter(|m| !m.leaving).count();
        let limit = self.limit().map(|limit| limit.ceiling);
        let ceiling = self.useful(sizing::ceiling(&self.config.limits, limit));
        self.config.work.state.sized(self.size, present, ceiling);
    }

    /// How many consumers the source has a use for, if the source limits them.
    fn limit(&self) -> Option<Limit> {
        self.limit.as_ref().map(|limit| *limit.borrow())
    }

    /// `size`, or as many consumers as have something to do.
    fn useful(&self, size: u32) -> u32 {
        self.limit().map_or(size, |limit| size.min(limit.useful))
    }

    /// A lag for people: it may not have been counted to its end.
    fn shown(&self, lag: u64) -> String {
        match lag == counted_to(&self.config.limits) {
            true => format!("{lag} or more"),
            false => lag.to_string(),
        }
    }

    fn why_smaller(&self, size: usize) -> String {
        if self.is_tuned {
            return CHANGED.to_owned();
        }
        if let Some(reached) = self.rate_limited() {
            return reached;
        }
        let useful = self.limit().map(|limit| limit.useful);
        if useful.is_some_and(|useful| usize::try_from(useful) == Ok(size)) {
            return "this process has no work for more".to_owned();
        }
        let limit = self.config.limits.lag_limit;
        match self.last_lag {
            Some(lag) if lag <= limit => {
                format!("its lag of {lag} is not above {limit}, and leases are over")
            }
            Some(lag) => format!(
                "its lag of {} asks for no more, and leases are over",
                self.shown(lag)
            ),
            None => "nothing renewed their lease".to_owned(),
        }
    }

    /// Why there are no more consumers, where the limit is reached.
    fn rate_limited(&self) -> Option<String> {
        let limit = self
            .config
            .work
            .rate
            .limit()
            .filter(|_| self.is_rate_limited)?;
        Some(format!("rate limited, `rate_limit` is {limit}"))
    }

    /// A queue that is resumed has what came meanwhile: its lag is asked for at once.
    pub(super) fn watch_pauses(&mut self, ctx: &mut Context<Self>) {
        let resumes = unfold(self.config.work.paused.listen(), |mut pauses| async move {
            pauses.wait_for(|is_on| *is_on).await.ok()?;
            pauses.wait_for(|is_on| !is_on).await.ok()?;
            Some(((), pauses))
        });
        let seen = resumes.into_actor(self);
        ctx.spawn(seen.map(|(), pool, ctx| pool.check_lag(ctx)).finish());
    }

    /// Comes back whenever the source has a use for more or fewer.
    pub(super) fn watch_limit(&mut self, ctx: &mut Context<Self>) {
        self.limit = self.config.work.source.limit();
        let Some(limit) = self.limit.clone() else {
            return;
        };
        let changes = unfold(limit, |mut limit| async move {
            limit.changed().await.is_ok().then_some(((), limit))
        });
        ctx.spawn(
            changes
                .into_actor(self)
                .map(|(), pool, ctx| pool.reconcile(ctx))
                .finish(),
        );
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
