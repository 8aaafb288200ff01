//! Keeps time for the daemon's own alerts.
//!
//! Owns: nothing; what must outlive it is in `OwnAlerts`.   Receives from: itself (Poll, Ask).
//! Sends to: no actor; the Notifier gets the alerts.        Started by: SupervisorActor, before all others.
//! Ends: with the process; the last word is the stop's.

use std::time::Duration;

use actix::prelude::*;

use super::OwnAlerts;
use crate::drop_notice::GoneNotice;

/// Between two polls: published state is read, nothing is asked.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Between two questions for what earlier daemons left and others did.
const ASK_INTERVAL: Duration = Duration::from_secs(30);

/// To itself: poll.
#[derive(Message)]
#[rtype(result = "()")]
struct Poll;

/// To itself: ask the database.
#[derive(Message)]
#[rtype(result = "()")]
struct Ask;

/// See the module's header.
pub(crate) struct AlertActor {
    own: OwnAlerts,
    asking: bool,
    _gone: GoneNotice,
}

impl AlertActor {
    pub(crate) fn new(own: OwnAlerts, gone: GoneNotice) -> Self {
        Self {
            own,
            asking: false,
            _gone: gone,
        }
    }

    /// Never two questions at once. A question ends by its own patience, so the next one is asked in any case; polls go
    /// on beside it.
    fn ask(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.asking, true) {
            return;
        }
        let own = self.own.clone();
        let asked = async move { own.ask_for_ends().await };
        let asked = asked.into_actor(self);
        ctx.spawn(asked.map(|(), actor, _| actor.asking = false));
    }
}

impl Actor for AlertActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Ask);
        ctx.run_interval(POLL_INTERVAL, |_, ctx| ctx.notify(Poll));
        ctx.run_interval(ASK_INTERVAL, |_, ctx| ctx.notify(Ask));
    }
}

impl Handler<Poll> for AlertActor {
    type Result = ();

    fn handle(&mut self, _: Poll, _: &mut Self::Context) {
        self.own.poll();
    }
}

impl Handler<Ask> for AlertActor {
    type Result = ();

    fn handle(&mut self, _: Ask, ctx: &mut Self::Context) {
        self.ask(ctx);
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for AlertActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
