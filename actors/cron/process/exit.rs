//! How a child of ours ended, and its reaping.

use std::fmt;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::handle::Handle;

/// Pause between two polls of a child where neither a handle nor SIGCHLD reports its end: short
/// enough for a run's end to be written with the right second.
const POLL: Duration = Duration::from_millis(200);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal; `true`: it left a core dump.
    Signaled(i32, bool),
    /// It ended, or is no longer watched; this process did not see how: another one reaped it (SIGCHLD
    /// ignored from outside, a handler that waits for any child), or the Spawner was dropped.
    Unknown,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Signaled(signal, false) => write!(f, "killed by signal {signal}"),
            Self::Signaled(signal, true) => write!(f, "killed by signal {signal} (core dumped)"),
            Self::Unknown => f.write_str("exit status unknown"),
        }
    }
}

impl From<WaitStatus> for ExitStatus {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal, libc::WCOREDUMP(status.as_raw())),
            (None, None) => Self::Unknown,
        }
    }
}

/// Waits for a child of ours and takes its status, so that no zombie stays.
pub(super) async fn reap(pid: Pid) -> ExitStatus {
    if let Ok(handle) = Handle::open(pid)
        && handle.ended().await.is_ok()
        && let Some(status) = try_reap(pid)
    {
        return status;
    }
    reap_by_signal(pid).await
}

/// The way without a handle: polls each time some child ends.
async fn reap_by_signal(pid: Pid) -> ExitStatus {
    // Listens first and polls then, so that an end in between is not missed.
    let mut children = signal(SignalKind::child()).ok();
    loop {
        if let Some(status) = try_reap(pid) {
            return status;
        }
        some_child_ended(children.as_mut()).await;
    }
}

async fn some_child_ended(children: Option<&mut Signal>) {
    if let Some(children) = children
        && children.recv().await.is_some()
    {
        return;
    }
    tokio::time::sleep(POLL).await;
}

/// Takes the child's status where it has ended.
fn try_reap(pid: Pid) -> Option<ExitStatus> {
    loop {
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => return Some(status.into()),
            Ok(None) => return None,
            Err(Errno::INTR) => {}
            // ECHILD: no child of ours any more.
            Err(_) => return Some(ExitStatus::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[tokio::test]
    async fn a_child_is_reaped_without_a_handle_too() {
        let world = World::new();
        let started = world.shell("exit 7").start().unwrap();
        let pid = Pid::from_raw(started.pid).unwrap();
        assert_eq!(reap_by_signal(pid).await, ExitStatus::Exited(7));
        assert_eq!(reap_by_signal(pid).await, ExitStatus::Unknown);
    }
}
