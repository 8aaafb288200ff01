//! A world for tests with real processes: a directory, a Spawner, and pipes instead of waiting.

use std::cell::RefCell;
use std::env;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, kill_process_group};

use super::machine::{Identity, identify, valid};
use super::{Child, Command, Output, Spawner, Turn};

/// A directory of one test, with a gate its processes can wait at (`read x < $GATE`).
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) spawner: Spawner,
    gate: File,
    /// Pid and start time of each process with a pipe.
    started: RefCell<Vec<(i32, Option<u64>)>>,
}

/// A process whose output can be read as it comes.
pub(super) struct Running {
    pub(super) child: Child,
    output: BufReader<File>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gate = dir.path().join("gate");
        make_fifo(&gate);
        // For reading too, so that neither side waits for the other to open it.
        let gate = File::options().read(true).write(true).open(gate).unwrap();
        let (spawner, started) = (Spawner::start().unwrap(), RefCell::default());
        Self {
            dir,
            spawner,
            gate,
            started,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn command(&self, program: &str, args: &[&str]) -> Command {
        Command {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            env: vec![("GATE".into(), self.path("gate").into())],
            output: Output::File(self.path("output")),
            handed: None,
        }
    }

    pub(super) fn shell(&self, script: &str) -> Command {
        self.command("/bin/sh", &["-c", script])
    }

    /// A test of this binary as a process of its own; `name` is its path below the crate.
    pub(super) fn own_test(&self, name: &str) -> Command {
        let args = ["--ignored", "--exact", "--nocapture", name];
        let program = env::current_exe().unwrap();
        self.command(program.to_str().unwrap(), &args)
    }

    pub(super) async fn spawn_shell(&self, script: &str) -> Running {
        self.spawn(self.shell(script)).await
    }

    /// Starts a process with its output into a pipe, which ends when the last holder of it does.
    pub(super) async fn spawn(&self, mut command: Command) -> Running {
        let number = self.started.borrow().len();
        let output = self.path(&format!("output-{number}"));
        make_fifo(&output);
        command.output = Output::File(output.clone());
        // Opened without waiting for a writer, then read with waiting.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let output = options.open(output).unwrap();
        let child = self.spawner.spawn(command, Turn::Fresh).await.unwrap();
        let key = (child.pid, child.start_ticks);
        self.started.borrow_mut().push(key);
        // SAFETY: an open descriptor, and a command that takes an integer.
        assert_eq!(
            unsafe { libc::fcntl(output.as_raw_fd(), libc::F_SETFL, 0) },
            0
        );
        let output = BufReader::new(output);
        Running { child, output }
    }

    /// Lets one process through the gate.
    pub(super) fn open_gate(&self) {
        (&self.gate).write_all(b"go\n").unwrap();
    }
}

/// A test that fails leaves no process behind.
impl Drop for World {
    fn drop(&mut self) {
        for &(pid, start_ticks) in self.started.borrow().iter() {
            if identify(pid, start_ticks) == Identity::Same {
                let _ = kill_process_group(valid(pid).unwrap(), Signal::KILL);
            }
        }
    }
}

impl Running {
    /// The next line of output.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// Reads on to the line that ends with `text`.
    pub(super) fn wait_for(&mut self, text: &str) {
        let found = self
            .output
            .by_ref()
            .lines()
            .any(|line| line.unwrap().ends_with(text));
        assert!(found, "it ended without `{text}`");
    }

    /// All that is still to come.
    pub(super) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        text
    }
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}
