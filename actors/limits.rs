//! The limit of open files: the daemon raises its soft limit to the hard one, its cron runs get the one that it was given.
//!
//! The usual soft limit of 1,024 is small on purpose, for programs that use `select`. A daemon with many queues needs more, and
//! does not use it; what a cron run is, only its author knows.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

/// What this process was started with, where it has raised it.
static GIVEN: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of this process to the hard one.
pub(crate) fn raise_open_files() {
    let given = getrlimit(Resource::Nofile);
    if given.current == given.maximum {
        return;
    }
    let raised = Rlimit {
        current: given.maximum,
        maximum: given.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            let _ = GIVEN.set(given);
        }
        Err(cause) => log::warn!(
            "the soft limit of open files stays {}: {cause}",
            shown(given.current)
        ),
    }
}

/// Gives a process that was just started the soft limit that this one was started with. It may run already: until then it
/// has more room, and nothing else differs.
#[cfg(target_os = "linux")]
pub(crate) fn restore_open_files(pid: i32) {
    let (Some(given), Some(pid)) = (GIVEN.get(), Pid::from_raw(pid)) else {
        return;
    };
    // It may have ended, or belong to another user by now.
    let _ = rustix::process::prlimit(Some(pid), Resource::Nofile, *given);
}

/// There is no way to change the limits of another process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn restore_open_files(_: i32) {}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "without a bound".to_owned(), |limit| limit.to_string())
}
