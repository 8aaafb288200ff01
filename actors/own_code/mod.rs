//! Runs one piece of the program's own code from the daemon's start to its stop.
//!
//! Owns: the code's thread.                 Receives from: SupervisorActor (AwaitEnd), itself (Run).
//! Sends to: no actor.                      Started by: SupervisorActor, one for each `App::spawn`.
//! Ends: with the System; never by itself.
//!
//! Each run of the code has a thread of its own, an Arbiter: code that blocks holds up neither timers, cron, heartbeats
//! nor handlers. A run that fails is ended with its thread, so the actors and tasks that it started end too, and the next
//! run begins on a fresh one. Code that returns `Ok` keeps its thread: the actors it started live on.

#[cfg(test)]
mod tests;

use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::drop_notice::GoneNotice;
use crate::job::{JobError, JobResult, Next, OwnCode, run};
use crate::state::deaths;
use crate::stop::{StopListener, left_at};

/// The pause before code that failed is started again: as for a child that died, so a port that is still taken or a
/// server that is away costs neither a busy loop nor a long wait.
const RESTART: Backoff = Backoff::REPLACEMENT;
/// Code that ran for this long before it failed is started again after the shortest pause.
const LIVED_LONG: Duration = Duration::from_secs(60);

/// Asks whether the code ends by itself by the deadline of the stop. If not, it is dropped at the deadline.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct AwaitEnd;

/// To itself: start the code.
#[derive(Message)]
#[rtype(result = "()")]
struct Run;

/// A run that is over, by its result or with its thread.
struct Ended {
    result: JobResult,
    lived: Duration,
}

/// See the module's header.
pub(crate) struct OwnCodeActor {
    code: OwnCode,
    thread: Option<Thread>,
    /// 1 while the code runs; see `left_at`.
    running: watch::Sender<usize>,
    /// Failures since the code last ran for `LIVED_LONG`.
    failures: u32,
    /// The daemon's, as the code's own `ctx.stopping()`: from its first step on the code is not started again.
    stop: StopListener,
    /// The deadline of the stop ended the code.
    dropped: bool,
    _gone: GoneNotice,
}

impl OwnCodeActor {
    pub(crate) fn new(code: OwnCode, stop: StopListener, gone: GoneNotice) -> Self {
        Self {
            code,
            thread: None,
            running: watch::Sender::new(0),
            failures: 0,
            stop,
            dropped: false,
            _gone: gone,
        }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let begun = Instant::now();
        let (thread, result) = match Thread::start(self.code.clone()) {
            Ok(started) => started,
            Err(cause) => {
                let result = Err(format!("its thread cannot be started: {cause}").into());
                let lived = Duration::ZERO;
                return self.ended(Ended { result, lived }, ctx);
            }
        };
        self.thread = Some(thread);
        self.running.send_replace(1);
        let ended = async move {
            let result = result.await;
            let result = result.unwrap_or_else(|_| Err("its thread was stopped".into()));
            let lived = begun.elapsed();
            Ended { result, lived }
        };
        let ended = ended.into_actor(self);
        ctx.spawn(ended.map(|ended, actor, ctx| actor.ended(ended, ctx)));
    }

    fn ended(&mut self, Ended { result, lived }: Ended, ctx: &mut Context<Self>) {
        self.running.send_replace(0);
        if self.dropped {
            return;
        }
        let place = self.code.place.clone();
        let Err(error) = result else {
            if !self.stop.begun() {
                log::info!(
                    "the own code of {place} has ended; what it started goes on until the stop"
                );
            }
            return;
        };
        self.thread = None;
        match self.next_run(&error, lived) {
            _ if self.stop.begun() => log::error!("the own code of {place} failed: {error}"),
            None => {
                log::error!(
                    "the own code of {place} failed and is not started again, as its error demands: {error}"
                );
            }
            Some(pause) => {
                deaths().note(&format!("the own code of {place}"));
                log::error!(
                    "the own code of {place} failed and is started again in {pause:?}: {error}"
                );
                ctx.notify_later(Run, pause);
            }
        }
    }

    /// After which pause the code runs again. `None`: never.
    fn next_run(&mut self, error: &JobError, lived: Duration) -> Option<Duration> {
        if lived >= LIVED_LONG {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        match error.next() {
            Next::Retry | Next::Release => Some(RESTART.delay(self.failures, fastrand::f64())),
            Next::RetryIn(pause) => Some(pause),
            Next::Discard => None,
        }
    }

    fn await_end(&self) -> ResponseActFuture<Self, bool> {
        let (mut stop, mut running) = (self.stop.clone(), self.running.subscribe());
        let ended = async move {
            let deadline = stop.deadline_set().await;
            let ended = running.wait_for(|running| *running == 0);
            (timeout_at(deadline, ended).await.is_ok(), deadline)
        };
        let end = ended.into_actor(self).then(|(ended, deadline), actor, _| {
            let actor: &mut Self = actor;
            let dropped = (!ended).then(|| actor.drop_code(deadline));
            let end = async move {
                if let Some(dropped) = dropped {
                    dropped.await;
                }
                ended
            };
            end.into_actor(actor)
        });
        Box::pin(end)
    }

    /// The code's future is dropped on its thread, once that is free. Its destructors have `left_at`'s time.
    fn drop_code(&mut self, deadline: Instant) -> impl Future<Output = usize> + use<> {
        log::warn!(
            "the own code of {} did not end by the deadline and is dropped; it should end once `ctx.stopping()`",
            self.code.place
        );
        self.dropped = true;
        self.thread = None;
        left_at(self.running.subscribe(), deadline)
    }
}

/// The thread of one run. Stopped when dropped, and with it all that runs on it; not joined: code that blocks it would
/// hold up the caller.
struct Thread(Arbiter);

impl Thread {
    /// The receiver gets the result; nothing where the thread was stopped before the code had one.
    fn start(code: OwnCode) -> std::io::Result<(Self, oneshot::Receiver<JobResult>)> {
        let arbiter = Arbiter::try_new()?;
        let (sender, result) = oneshot::channel();
        arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                // The actor may be gone; then its thread is, too.
                let _ = sender.send(run(&code.handler, (), None, None, None).await);
            });
        });
        Ok((Self(arbiter), result))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Actor for OwnCodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.run(ctx);
    }
}

impl Handler<Run> for OwnCodeActor {
    type Result = ();

    fn handle(&mut self, _: Run, ctx: &mut Self::Context) {
        self.run(ctx);
    }
}

impl Handler<AwaitEnd> for OwnCodeActor {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, _: AwaitEnd, _: &mut Self::Context) -> Self::Result {
        self.await_end()
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for OwnCodeActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
