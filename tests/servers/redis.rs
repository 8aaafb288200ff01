//! Redis, which keeps nothing on disk.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::folder::Folder;
use super::install::program;
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

pub struct Program(PathBuf);

impl Kind for Program {
    const NAME: &'static str = "Redis";
    const READY: &'static str = "Ready to accept connections";

    fn find() -> Option<Self> {
        program("redis-server").map(Self)
    }

    fn prepare(&self, _folder: &Folder, _port: u16) {}

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path(""));
        command
    }
}
