//! A directory with a configuration, the daemon's program, and processes whose lines are waited for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_simplest_script");

/// A directory of its own, gone with the test.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// An empty one.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { dir }
    }

    /// With an `etc/` of these three files.
    pub fn with_etc(settings: &str, queues: &str, crontab: &str) -> Self {
        let world = Self::empty();
        world.write("etc/dev.json", settings);
        world.write("etc/queue_script1.json", queues);
        world.write("etc/crontab_script1.json", crontab);
        world
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What lies in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program, in this directory, with nothing of our own environment that it would heed.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.path());
        without_settings(&mut command);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }
}

pub fn without_settings(command: &mut Command) {
    for name in [
        "SCRIPT_ENV",
        "SCRIPT_ETC",
        "SCRIPT_PARTITION",
        "SIMPLEST_SCRIPT_PATH",
        "TZ",
    ] {
        command.env_remove(name);
    }
}

/// A command's output, and its exit status.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that it ended well.
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A process whose standard error is read line by line; it does not outlive the test.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    until: Instant,
}

impl Running {
    /// `patience`: from here to the last line that is waited for.
    pub fn start(command: &mut Command, patience: Duration) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            until: Instant::now() + patience,
        }
    }

    /// All lines up to and with the one that has this text.
    pub fn wait_for(&mut self, text: &str) -> &[String] {
        while !self.seen.last().is_some_and(|line| line.contains(text)) {
            let left = self.until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(cause) => panic!("no line has `{text}` ({cause}): {:#?}", self.seen),
            }
        }
        &self.seen
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a service manager does; answers its exit status.
    pub fn terminate(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.wait_for("stopped");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, where all is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory that cargo builds into.
pub fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}
