//! The consumers themselves: started on the workers, replaced when they die.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::{ConsumerGone, PoolActor};
use crate::consumer::ConsumerActor;
use crate::drop_notice::GoneNotice;
use crate::state::deaths;
use crate::stop::StopSignal;

/// The pauses before a dead consumer is replaced start anew once one has lived for this long.
const LIVED_LONG: Duration = Duration::from_secs(60);

pub(super) struct Member {
    /// Keeps the actor's mailbox open.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "an actor that nobody can reach ends")
    )]
    pub(super) addr: Addr<ConsumerActor>,
    /// Below the pool's.
    pub(super) stop: StopSignal,
    born: Instant,
    /// It was asked to end: it is not replaced.
    pub(super) leaving: bool,
    /// It is leaving, and keeps its place until it has ended: then another one takes it.
    pub(super) is_followed: bool,
}

impl PoolActor {
    pub(super) fn start_consumer(&mut self, ctx: &mut Context<Self>) {
        let id = self.next_id;
        self.next_id += 1;
        let pool = ctx.address().downgrade();
        let gone = GoneNotice::new(move || {
            if let Some(pool) = pool.upgrade() {
                pool.do_send(ConsumerGone { id });
            }
        });
        let work = self.config.work.clone();
        let stop = self.stop.child();
        let listener = stop.listen();
        let addr = ConsumerActor::start_in_arbiter(&self.config.workers.next(), move |_| {
            ConsumerActor::new(work, listener, gone)
        });
        self.members.insert(
            id,
            Member {
                addr,
                stop,
                born: Instant::now(),
                leaving: false,
                is_followed: false,
            },
        );
        self.alive.send_replace(self.members.len());
    }

    pub(super) fn consumer_gone(&mut self, id: u64, ctx: &mut Context<Self>) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        self.alive.send_replace(self.members.len());
        self.publish_size();
        if member.is_followed && !self.stop.begun() {
            self.reconcile(ctx);
            return;
        }
        if member.leaving || self.stop.begun() {
            return;
        }
        if member.born.elapsed() > LIVED_LONG {
            self.delays.reset();
        }
        deaths().note(&format!("a consumer of queue `{}`", self.queue()));
        let pause = self.delays.advance();
        log::error!(
            "queue `{}`: a consumer died and is replaced in {pause:?}; its messages are released",
            self.queue()
        );
        self.replacing = true;
        ctx.run_later(pause, |pool, ctx| {
            pool.replacing = false;
            pool.reconcile(ctx);
        });
    }
}
