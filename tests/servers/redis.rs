//! Redis or Valkey, which keep nothing on disk.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::folder::{self, Folder};
use super::root::{Releases, Root};
use super::server::{Kind, Server};

pub type Redis = Server<Program>;

/// The one of this test process. `None`: not installed.
///
/// All tests see the same keys: each takes names of its own.
pub fn shared() -> Option<&'static Redis> {
    static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
    SHARED.get_or_init(Redis::dedicated).as_ref()
}

impl Redis {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port())
    }

    /// A name that no other test has.
    pub fn key(&self) -> String {
        self.fresh_name()
    }
}

pub struct Program {
    root: Root,
    path: PathBuf,
}

impl Program {
    /// Without arguments.
    pub(super) fn program(&self) -> Command {
        self.root.command(&self.path)
    }

    /// A file of the server's folder, as the program sees it.
    pub(super) fn within(&self, folder: &Folder, name: &str) -> PathBuf {
        self.root.within(&folder.path(name))
    }
}

impl Kind for Program {
    const NAME: &'static str = "Redis";
    const READY: &'static str = "Ready to accept connections";

    fn find() -> Option<Self> {
        let (root, name) = match Releases::of_this_run() {
            Releases::Installed => (Root::machine(), "redis-server"),
            Releases::Newer => (Root::newer("newer-b")?, "redis-server"),
            Releases::Valkey => (Root::newer("newer-a")?, "valkey-server"),
            Releases::Oldest => {
                let path = folder::root().join("redis-6.2").join("redis-server");
                let root = Root::machine();
                return path.is_file().then_some(Self { root, path });
            }
        };
        let path = root.program(name)?;
        Some(Self { root, path })
    }

    fn home(&self) -> PathBuf {
        self.root.home()
    }

    fn prepare(&self, _folder: &Folder, _port: u16) {}

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = self.program();
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.within(folder, ""));
        command
    }
}
