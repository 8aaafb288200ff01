//! A server as a process that ends with us.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// For a start, with recovery, on a machine that is compiling something else.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A server that can be hung, crashed and started again. Killed when dropped.
pub struct Process {
    name: &'static str,
    log: PathBuf,
    /// Its log has this once it takes connections.
    ready: &'static str,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    running: Mutex<Option<Child>>,
}

impl Process {
    /// Not started yet. Standard output and error go to the log.
    pub fn new(
        name: &'static str,
        log: PathBuf,
        ready: &'static str,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        let command = Box::new(command);
        Self {
            name,
            log,
            ready,
            command,
            running: Mutex::new(None),
        }
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    ///
    /// Its log, when it ends before that.
    pub fn start(&self) -> Result<(), String> {
        let mut running = self.running.lock().unwrap();
        assert!(running.is_none(), "{} runs already", self.name);
        let log = File::create(&self.log).unwrap();
        let mut command = (self.command)();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = running.insert(spawn(command));
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(self.ready) {
            let ended = child.try_wait().unwrap();
            if let Some(status) = ended {
                *running = None;
                return Err(format!("{} ended with {status}: {}", self.name, self.log()));
            }
            assert!(
                Instant::now() < deadline,
                "{} did not become ready: {}",
                self.name,
                self.log()
            );
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// SIGSTOP: connections stay, and nothing answers. Done when all of it stands still.
    pub fn pause(&self) {
        self.stand_still();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        let first = self.pid();
        for pid in children(first).into_iter().chain([first]) {
            signal(pid, Signal::CONT);
        }
    }

    /// SIGKILL: a crash of the server, though not of the machine. Done when all of it is gone, so that it can be started
    /// again at once.
    pub fn kill(&self) {
        // So that nobody of it acts on the end of another.
        let family = self.stand_still();
        for pid in &family {
            signal(*pid, Signal::KILL);
        }
        if let Some(mut child) = self.running.lock().unwrap().take() {
            child.wait().unwrap();
        }
        while family
            .iter()
            .any(|pid| !matches!(state(*pid), None | Some('Z')))
        {
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Its output since it was started last.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    #[track_caller]
    pub fn pid(&self) -> u32 {
        let running = self.running.lock().unwrap();
        running
            .as_ref()
            .unwrap_or_else(|| panic!("{} does not run", self.name))
            .id()
    }

    /// Stops the process and then its children (PostgreSQL has one for each connection): a stopped process starts no more
    /// of them.
    fn stand_still(&self) -> Vec<u32> {
        let first = self.pid();
        stop(first);
        let children = children(first);
        children.iter().for_each(|pid| stop(*pid));
        [vec![first], children].concat()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.running.lock().unwrap().is_some() {
            self.kill();
        }
    }
}

/// From a thread that never ends: the kernel kills the child when the *thread* that started it ends, and the one that
/// asks may be that of a single test, while the server is for all of them.
fn spawn(command: Command) -> Child {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static KEEPER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, ordered) = mpsc::channel::<Order>();
        let keep = move || {
            for (mut command, answer) in ordered {
                let _ = answer.send(end_with_us(&mut command).spawn());
            }
        };
        thread::Builder::new()
            .name("servers".to_owned())
            .spawn(keep)
            .unwrap();
        Mutex::new(orders)
    });
    let (answer, answered) = mpsc::channel();
    let program = command.get_program().to_owned();
    keeper.lock().unwrap().send((command, answer)).unwrap();
    answered
        .recv()
        .unwrap()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

#[cfg(target_os = "linux")]
fn end_with_us(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;

    let us = rustix::process::getpid();
    // After the change of user, which would clear it again.
    let ask = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // We ended in between: then the signal would never come.
        let is_ours = rustix::process::getppid() == Some(us);
        is_ours.then_some(()).ok_or_else(|| Errno::SRCH.into())
    };
    // SAFETY: two system calls, neither of which allocates or takes a lock.
    unsafe { command.pre_exec(ask) }
}

/// Elsewhere a server is ended by the drop of its guard, and a shared one stays.
#[cfg(not(target_os = "linux"))]
fn end_with_us(command: &mut Command) -> &mut Command {
    command
}

fn stop(pid: u32) {
    signal(pid, Signal::STOP);
    while !matches!(state(pid), None | Some('T' | 'Z')) {
        thread::sleep(POLL_INTERVAL);
    }
}

/// To a server of ours or a child of one; it may have ended a moment ago.
fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let sent = kill_process(pid, signal);
    assert!(matches!(sent, Ok(()) | Err(Errno::SRCH)), "{sent:?}");
}

fn state(pid: u32) -> Option<char> {
    Some(stat(pid)?.0)
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten();
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// State and parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
