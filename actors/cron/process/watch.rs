//! Watches a run that another daemon, now dead, has started.
//!
//! Who did not start a process gets no exit status, and its pid may be another's by now. So the
//! handle is opened first and the start time compared then: from there on the handle is that
//! process's, whatever becomes of its number.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;

use super::handle::Handle;
use super::machine::{self, Identity, identify, valid};

/// How often a process without a handle is polled.
const POLL: Duration = Duration::from_secs(1);

/// A process that is watched, whichever daemon started it.
#[derive(Debug)]
pub(crate) struct Watched {
    pid: Pid,
    start_ticks: Option<u64>,
    handle: Option<Handle>,
}

impl Watched {
    /// Watches the process that has `pid` and started at `start_ticks`; `None`: it has ended.
    ///
    /// Without `start_ticks` whatever process has the pid is taken for it.
    ///
    /// # Errors
    ///
    /// The process is there, and nothing shows whether it is the same one.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn open(pid: i32, start_ticks: Option<u64>) -> io::Result<Option<Self>> {
        Self::open_with(pid, start_ticks, Handle::open)
    }

    fn open_with(
        pid: i32,
        start_ticks: Option<u64>,
        open: impl Fn(Pid) -> io::Result<Handle>,
    ) -> io::Result<Option<Self>> {
        let Some(target) = valid(pid) else {
            return Ok(None);
        };
        let handle = match open(target) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                return Ok(None);
            }
            // No handles here, or none left: polling does as well.
            handle => handle.ok(),
        };
        match identify(pid, start_ticks) {
            Identity::Gone => Ok(None),
            Identity::Unknown if start_ticks.is_some() => {
                let message = format!("process {pid}: its start time cannot be read");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
            }
            Identity::Same | Identity::Unknown => Ok(Some(Self {
                pid: target,
                start_ticks,
                handle,
            })),
        }
    }

    /// Waits until the process has ended; does not return how.
    pub(crate) async fn ended(&self) {
        if let Some(handle) = &self.handle
            && handle.ended().await.is_ok()
        {
            return;
        }
        while self.identity() != Identity::Gone {
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn handle(&self) -> Option<&Handle> {
        self.handle.as_ref()
    }

    pub(super) fn identity(&self) -> Identity {
        identify(self.pid.as_raw_pid(), self.start_ticks)
    }

    /// Whether the pid is still this process's, be it only as a zombie.
    pub(super) fn has_pid(&self) -> bool {
        machine::start_ticks(self.pid.as_raw_pid()) == self.start_ticks
    }

    /// As [`Watched::open`] where the system has no handles.
    #[cfg(test)]
    pub(super) fn without_handle(pid: i32, start_ticks: Option<u64>) -> Option<Self> {
        let none = |_| Err(io::ErrorKind::Unsupported.into());
        Self::open_with(pid, start_ticks, none).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::start_ticks;
    use super::super::testing::World;
    use super::*;

    #[tokio::test]
    async fn an_end_is_seen_by_those_who_did_not_start_the_process() {
        let world = World::new();
        let mut child = world.spawn_shell("echo up; read x < $GATE").await;
        assert_eq!(child.line(), "up");
        let ticks = child.child.start_ticks;
        let watched = Watched::open(child.child.pid, ticks).unwrap().unwrap();
        let polled = Watched::without_handle(child.child.pid, ticks).unwrap();
        world.open_gate();
        tokio::join!(watched.ended(), polled.ended(), child.child.exited());
    }

    #[tokio::test]
    async fn a_reused_pid_is_not_watched() {
        let pid = std::process::id().cast_signed();
        let other = start_ticks(pid).map(|ticks| ticks + 1);
        assert!(Watched::open(pid, other).unwrap().is_none());
        assert!(Watched::without_handle(pid, other).is_none());
        for pid in [i32::MIN, -1, 0, 1] {
            assert!(Watched::open(pid, None).unwrap().is_none(), "{pid}");
        }
    }
}
