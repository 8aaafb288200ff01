//! Redis and Valkey, which keep nothing on disk.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::folder::{self, Folder};
use super::root::Root;
use super::server::{Kind, Server};

pub type Redis = Server<Program<Installed>>;
pub type Redis62 = Server<Program<Oldest>>;
pub type Redis8 = Server<Program<Newest>>;
pub type Valkey9 = Server<Program<Valkey>>;

/// The one of this test process. `None`: not installed.
///
/// All tests see the same keys: each takes names of its own.
pub fn shared() -> Option<&'static Redis> {
    static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
    SHARED.get_or_init(Redis::dedicated).as_ref()
}

/// A product and its release.
pub trait Release: Send + Sync + 'static {
    const NAME: &'static str;

    /// The program, and the root directory that it runs with. `None`: not installed.
    fn find() -> Option<(Root, PathBuf)>;
}

pub struct Installed;

impl Release for Installed {
    const NAME: &'static str = "Redis";

    fn find() -> Option<(Root, PathBuf)> {
        in_root(Root::machine(), "redis-server")
    }
}

/// The oldest that is supported.
pub struct Oldest;

impl Release for Oldest {
    const NAME: &'static str = "Redis 6.2";

    fn find() -> Option<(Root, PathBuf)> {
        let path = folder::root().join("redis-6.2").join("redis-server");
        path.is_file().then(|| (Root::machine(), path))
    }
}

pub struct Newest;

impl Release for Newest {
    const NAME: &'static str = "Redis 8";

    fn find() -> Option<(Root, PathBuf)> {
        in_root(Root::newer("newer-b")?, "redis-server")
    }
}

pub struct Valkey;

impl Release for Valkey {
    const NAME: &'static str = "Valkey 9";

    fn find() -> Option<(Root, PathBuf)> {
        in_root(Root::newer("newer-a")?, "valkey-server")
    }
}

fn in_root(root: Root, program: &str) -> Option<(Root, PathBuf)> {
    let program = root.program(program)?;
    Some((root, program))
}

impl<R: Release> Server<Program<R>> {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port())
    }

    /// A name that no other test has.
    pub fn key(&self) -> String {
        self.fresh_name()
    }
}

pub struct Program<R> {
    root: Root,
    program: PathBuf,
    release: PhantomData<R>,
}

impl<R: Release> Kind for Program<R> {
    const NAME: &'static str = R::NAME;
    const READY: &'static str = "Ready to accept connections";

    fn find() -> Option<Self> {
        let (root, program) = R::find()?;
        Some(Self {
            root,
            program,
            release: PhantomData,
        })
    }

    fn home(&self) -> PathBuf {
        self.root.home()
    }

    fn prepare(&self, _folder: &Folder, _port: u16) {}

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = self.root.command(&self.program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.root.within(&folder.path("")));
        command
    }
}
