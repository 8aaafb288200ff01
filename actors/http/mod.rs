//! Answers over HTTP: health, readiness, metrics, the state as JSON, and orders.
//!
//! Owns: the port and the Unix socket.   Receives from: no actor; its callers come over the network.
//! Sends to: PoolActor (LagCheck), SupervisorActor (Reload).   Started by: SupervisorActor, on an Arbiter of its own.
//! Ends: with the process; answers until then, so that a stop can be watched.
//!
//! Its thread runs nothing else: a caller that asks for much, or slowly, holds up no other actor. It reads the state
//! that the actors publish (`state/`) and takes no lock that they hold for long.

mod answers;
mod api;
mod client;
mod database;
mod dead_letters;
mod files;
mod guard;
mod host;
mod metrics;
mod ordering;
mod orders;
mod page;
mod pausing;
mod process;
mod ready;
mod routes;
mod serve;
mod short_path;
mod socket;
#[cfg(test)]
mod tests;
mod unknown;
mod wrong;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use parking_lot::RwLock;

pub(crate) use self::client::{ClientError, get, order};
pub(crate) use self::database::DatabaseCheck;
pub(crate) use self::dead_letters::DeadLetterJobs;
pub(crate) use self::files::Files;
pub(crate) use self::orders::PoolOrders;
pub(crate) use self::socket::Socket;
use crate::clock::now_ms;
use crate::config::HttpSettings;
use crate::db::Db;
use crate::drop_notice::GoneNotice;
use crate::membership::Liveness;
use crate::orders::dead::Targets;
use crate::reload::ReloadHandle;
use crate::source::Source;
use crate::state::{HISTORY_INTERVAL, State};
use crate::stop::StopListener;
use crate::store::rows::DeadLetterFilter;

/// How often the dead letters are counted: up to a cap, from an index.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// The sources of queue entries, by the names of those.
pub(crate) type NamedSources = Vec<(Arc<str>, Arc<dyn Source>)>;

/// What HttpActor is started with, and answers from.
pub(crate) struct HttpConfig {
    pub(crate) settings: HttpSettings,
    pub(crate) state: Arc<State>,
    pub(crate) db: Db,
    /// Whether the database answers.
    pub(crate) database: DatabaseCheck,
    pub(crate) liveness: Arc<Liveness>,
    /// By the names of their queue entries; others after a reload.
    pub(crate) sources: RwLock<NamedSources>,
    pub(crate) pools: PoolOrders,
    /// Where dead letters run again.
    pub(crate) targets: Arc<Targets>,
    /// What is ordered about them here.
    pub(crate) dead_letters: DeadLetterJobs,
    /// What orders name.
    pub(crate) files: Files,
    /// Reads the configuration again.
    pub(crate) reloads: ReloadHandle,
    /// Where the command line asks.
    pub(crate) socket: Socket,
    /// Everything has been started.
    pub(crate) started: AtomicBool,
}

impl HttpConfig {
    /// From now on the daemon may be ready.
    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }
}

/// See the module's header.
pub(crate) struct HttpActor {
    config: Arc<HttpConfig>,
    stop: StopListener,
    counting: bool,
    _gone: GoneNotice,
}

impl HttpActor {
    pub(crate) fn new(config: Arc<HttpConfig>, stop: StopListener, gone: GoneNotice) -> Self {
        Self {
            config,
            stop,
            counting: false,
            _gone: gone,
        }
    }

    /// Counts what only the database knows, and never twice at once.
    fn count(&mut self, ctx: &mut Context<Self>) {
        if !self.config.started.load(Ordering::Acquire)
            || std::mem::replace(&mut self.counting, true)
        {
            return;
        }
        let config = Arc::clone(&self.config);
        let count = async move {
            let counted = config.db.reader().dead_letter_count().await;
            if let Err(cause) = &counted {
                // DbActor reports the outage. How many there are is not known until the next count.
                log::debug!("the dead letters cannot be counted: {cause}");
            }
            let sources = match &counted {
                Ok(0) => Ok(Vec::new()),
                Ok(_) => config.db.reader().dead_letter_sources().await,
                Err(cause) => Err(cause.clone()),
            };
            if let Err(cause) = &sources {
                log::debug!("the dead letters of each queue cannot be counted: {cause}");
            }
            let some_are_there = counted.as_ref().is_ok_and(|count| *count > 0);
            *config.state.dead_letters.lock() = counted.ok();
            *config.state.dead_letters_of.lock() = sources.ok();
            // By id: the one that was written first, whose death is the oldest but for the clocks of several daemons.
            let oldest = match some_are_there {
                false => None,
                true => config
                    .db
                    .reader()
                    .dead_letter_heads(DeadLetterFilter::default(), 0, 1)
                    .await
                    .ok(),
            };
            let oldest = oldest.and_then(|heads| Some(heads.first()?.died_ms));
            *config.state.oldest_dead_letter_ms.lock() = oldest;
        };
        ctx.spawn(
            count
                .into_actor(self)
                .map(|(), actor, _| actor.counting = false),
        );
    }
}

impl Actor for HttpActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let answers = serve::serve(Arc::clone(&self.config), self.stop.clone());
        ctx.spawn(answers.into_actor(self));
        ctx.run_interval(HISTORY_INTERVAL, |actor, _| {
            actor.config.state.sample(now_ms());
        });
        ctx.run_later(Duration::from_secs(1), Self::count);
        ctx.run_interval(COUNT_INTERVAL, Self::count);
    }
}

/// The sockets below a data directory, those of dead daemons among them.
pub(crate) fn sockets(data_dir: &std::path::Path) -> Vec<PathBuf> {
    socket::all(data_dir)
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for HttpActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
