//! A server of any kind, as tests know it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::folder::{self, Folder};
use super::install::left_out;
use super::port;
use super::process::Process;

/// How often a start is tried with another port.
const TRIES: usize = 5;

/// What one kind has of its own.
pub trait Kind: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    /// The log has this once connections are taken.
    const READY: &'static str;

    /// Where its programs are; `None`: not installed.
    fn find() -> Option<Self>;

    /// Below this folder the server's data are kept.
    fn home(&self) -> PathBuf {
        folder::root()
    }

    /// The data of a new server.
    fn prepare(&self, folder: &Folder, port: u16);

    fn command(&self, folder: &Folder, port: u16) -> Command;
}

/// See the header of [`super`].
pub struct Server<K> {
    kind: Arc<K>,
    process: Process,
    port: u16,
    home: PathBuf,
    names: AtomicU32,
}

impl<K: Kind> Server<K> {
    /// One's own. `None`: not installed.
    pub fn dedicated() -> Option<Self> {
        Self::dedicated_as(|kind| kind)
    }

    /// As [`Server::dedicated`], of a kind that is changed before the server is made.
    pub fn dedicated_as(change: impl FnOnce(K) -> K) -> Option<Self> {
        let Some(kind) = K::find().map(change).map(Arc::new) else {
            left_out(K::NAME);
            return None;
        };
        let mut fault = String::new();
        for _ in 0..TRIES {
            let server = Self::new(Arc::clone(&kind));
            match server.process.start() {
                Ok(()) => return Some(server),
                // The port may have been taken by another.
                Err(why) => fault = why,
            }
        }
        panic!("{fault}");
    }

    fn new(kind: Arc<K>) -> Self {
        // The process has the folder: it is removed after the process has ended.
        let folder = Folder::new(kind.home(), K::NAME);
        let port = port::free();
        kind.prepare(&folder, port);
        let (log, home) = (folder.path("log"), folder.path(""));
        let command = {
            let kind = Arc::clone(&kind);
            move || kind.command(&folder, port)
        };
        Self {
            kind,
            process: Process::new(K::NAME, log, K::READY, command),
            port,
            home,
            names: AtomicU32::new(0),
        }
    }

    /// SIGSTOP: connections stay, and nothing answers. Done when all of it stands still.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// SIGKILL: a crash of the server, though not of the machine. Done when all of it is gone.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Again, after a `kill`: with the same port and data. Done when it takes connections.
    #[track_caller]
    pub fn start(&self) {
        self.process.start().unwrap_or_else(|why| panic!("{why}"));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its output since it was started last.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Where its data are.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn kind(&self) -> &K {
        &self.kind
    }

    /// A name that no other test on this server has.
    pub(super) fn fresh_name(&self) -> String {
        format!("test_{}", self.names.fetch_add(1, Ordering::Relaxed))
    }
}
