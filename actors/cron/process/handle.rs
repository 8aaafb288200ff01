//! A handle of one process that no reuse of its pid can turn into another's: Linux's pidfd.
//!
//! Where there is none (macOS, a kernel before 5.3, a sandbox that forbids it) [`Handle::open`]
//! fails, and the callers fall back to polling pid and start time.

#[cfg(target_os = "linux")]
pub(super) use linux::Handle;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Handle;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// `PIDFD_SIGNAL_PROCESS_GROUP` of linux/pidfd.h, since Linux 6.9.
    const SIGNAL_GROUP: libc::c_uint = 1 << 2;

    /// A handle of one process.
    #[derive(Debug)]
    pub(in super::super) struct Handle(AsyncFd<OwnedFd>);

    impl Handle {
        /// Opens a handle of whatever process has the pid now.
        pub(in super::super) fn open(pid: Pid) -> io::Result<Self> {
            let fd = pidfd_open(pid, PidfdFlags::empty())?;
            // SAFETY: an `OwnedFd` is open as long as it lives and is always the same descriptor.
            Ok(Self(unsafe {
                AsyncFd::register_with_interest(fd, Interest::READABLE)?
            }))
        }

        /// Waits until the process has ended, be it reaped or not.
        pub(in super::super) async fn ended(&self) -> io::Result<()> {
            // The guard is dropped without being cleared: it stays ready, as the process ended.
            self.0.readable().await.map(drop)
        }

        /// Signals the whole process group the process leads, even when it has ended itself.
        pub(in super::super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
            // SAFETY: the descriptor is open; a null `siginfo_t` is what `kill` would send.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    self.0.as_raw_fd(),
                    signal.as_raw(),
                    std::ptr::null::<libc::siginfo_t>(),
                    SIGNAL_GROUP,
                )
            };
            if result == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;

    use rustix::process::{Pid, Signal};

    /// There are no handles here, so there is no value of this.
    #[derive(Debug)]
    pub(in super::super) enum Handle {}

    impl Handle {
        pub(in super::super) fn open(_: Pid) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        #[expect(clippy::unused_async, reason = "as on Linux")]
        pub(in super::super) async fn ended(&self) -> io::Result<()> {
            match *self {}
        }

        pub(in super::super) fn signal_group(&self, _: Signal) -> io::Result<()> {
            match *self {}
        }
    }
}
