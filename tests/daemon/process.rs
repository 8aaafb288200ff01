//! A daemon that a test started, and ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{PATIENCE, now_us, wait_for, wait_until};

/// Lines of the log that are shown when a test fails.
const SHOWN_LINES: usize = 40;

/// When a daemon was killed: between these two moments, in unix microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Killed {
    pub pid: u32,
    pub from_us: i64,
    pub until_us: i64,
}

/// A process; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Its standard error goes to this file.
    pub fn spawn(command: Command, stderr: &Path) -> Self {
        let file = File::create(stderr).unwrap();
        Self::spawn_with(command, file.into(), stderr)
    }

    /// As [`Daemon::spawn`], with standard error somewhere else than in the file of its log.
    pub fn spawn_with(mut command: Command, stderr: Stdio, log: &Path) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        let child = command.spawn().unwrap();
        Self {
            child,
            log: log.to_owned(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a line with this text, and answers it.
    #[track_caller]
    pub fn wait_log(&mut self, text: &str) -> String {
        wait_for(&format!("`{text}` in the log"), PATIENCE, || {
            let line = |log: String| log.lines().find(|l| l.contains(text)).map(str::to_owned);
            let ended = self.child.try_wait().unwrap();
            let found = line(self.log());
            if let (Some(status), None) = (ended, &found) {
                panic!(
                    "ended with {status} before it said `{text}`: {}",
                    self.log()
                );
            }
            found
        })
    }

    #[track_caller]
    pub fn wait_ready(&mut self) {
        self.wait_log(" ready in ");
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        signal_pid(self.pid(), signal);
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) -> Killed {
        assert_eq!(self.has_ended(), None, "ended by itself: {}", self.log());
        let from_us = now_us();
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
        Killed {
            pid: self.pid(),
            from_us,
            until_us: now_us(),
        }
    }

    /// Waits for the end. Answers how it ended, and when seen from now.
    #[track_caller]
    pub fn wait_end(&mut self, patience: Duration) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = wait_for("the daemon's end", patience, || self.has_ended());
        (status, begun.elapsed())
    }

    /// SIGTERM, and waits for the end. It must be exit status 0. Answers how long it took.
    #[track_caller]
    pub fn stop(mut self) -> Duration {
        self.signal(Signal::TERM);
        let (status, took) = self.wait_end(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.log());
        took
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            println!("--- the last lines of daemon {}:", self.pid());
            println!("{}", shown.join("\n"));
        }
        // It may have ended already; both then do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To a process that this test started, or that a daemon of this test started. It may have ended a moment ago, when the
/// row that names it has not.
pub fn signal_pid(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let sent = kill_process(pid, signal);
    assert!(matches!(sent, Ok(()) | Err(Errno::SRCH)), "{sent:?}");
}

/// Waits until the process does nothing any more: SIGSTOP is not done when `kill` returns.
#[track_caller]
pub fn wait_stopped(pid: u32) {
    wait_until("the process to be stopped", PATIENCE, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    });
}
