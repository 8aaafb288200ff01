//! Processes of cron: starting, watching and ending them, and the files that describe them.
//!
//! A run is a process of its own that outlives the daemon, so nothing here relies on the daemon's
//! memory: what one daemon started another can find ([`list`], [`inspect`]), watch ([`Watched`])
//! and end ([`terminate`]). No actor and no database lives here; CronActor decides, this obeys.
//!
//! The life of a run: [`announce`], [`Spawner::spawn`], in the child [`RunFile::begin`] and
//! [`RunFile::finish`], then [`Child::exited`] (or [`Watched::ended`], after a restart) and
//! [`remove`].

mod command;
mod exit;
mod handle;
mod lock;
pub(crate) mod machine;
mod posix;
mod quote;
mod run_file;
mod run_state;
mod signals;
mod spawner;
mod terminate;
mod uk;
mod watch;

#[cfg(test)]
mod testing;

pub(crate) use command::{Command, Output};
pub(crate) use exit::ExitStatus;
pub(crate) use machine::Process;
pub(crate) use quote::{Word, quote};
pub(crate) use run_file::{
    Announced, Announcement, RunFile, RunHead, RunResult, announce, list, remove,
};
pub(crate) use run_state::{Liveness, RunState, inspect};
pub(crate) use signals::Signals;
pub(crate) use spawner::{Child, Spawner, Turn};
pub(crate) use terminate::{Termination, terminate, terminate_child};
pub(crate) use uk::Uk;
pub(crate) use watch::Watched;
