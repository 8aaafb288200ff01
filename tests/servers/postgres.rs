//! PostgreSQL. Its superuser is `postgres`, without a password.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::folder::Folder;
use super::install::{output, program, version};
use super::root::{Releases, Root, User};
use super::server::{Kind, Server};

pub type Postgres = Server<Programs>;

/// The one of this test process. `None`: not installed.
pub fn shared() -> Option<&'static Postgres> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    SHARED.get_or_init(Postgres::dedicated).as_ref()
}

impl Postgres {
    /// The URL of a fresh, empty database.
    pub fn database(&self) -> String {
        let name = self.fresh_name();
        self.execute(&format!("CREATE DATABASE {name}"));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port())
    }

    /// A statement in the database `postgres`; rows are lines, columns are set apart by `|`.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> String {
        let mut client = Command::new(&self.kind().client);
        client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        client.args(["-h", "127.0.0.1", "-U", "postgres"]);
        client.args(["-p", &self.port().to_string(), "-c", sql]);
        output(&mut client)
    }
}

pub struct Programs {
    root: Root,
    server: PathBuf,
    initdb: PathBuf,
    client: PathBuf,
    /// PostgreSQL refuses to run as root; Debian's package makes a user for it. Every folder above `target/servers` must
    /// let that user through.
    user: Option<User>,
}

impl Kind for Programs {
    const NAME: &'static str = "PostgreSQL";
    const READY: &'static str = "database system is ready to accept connections";

    fn find() -> Option<Self> {
        let root = match Releases::of_this_run() {
            Releases::Newer => Root::newer("newer-a")?,
            _ => Root::machine(),
        };
        Some(Self {
            server: root.program("postgres")?,
            initdb: root.program("initdb")?,
            client: program("psql")?,
            user: root.instead_of_root("postgres"),
            root,
        })
    }

    fn home(&self) -> PathBuf {
        self.root.home()
    }

    fn prepare(&self, folder: &Folder, _port: u16) {
        // Another version may not understand the data of this one.
        let template = format!(
            "{}-{}",
            Self::NAME,
            version(&mut self.root.command(&self.server))
        );
        folder.copy("data", &template, |path| self.install(path));
    }

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = self.as_user(&self.server);
        command
            .arg("-D")
            .arg(self.root.within(&folder.path("data")));
        command.args(["-c", &format!("port={port}")]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }
}

impl Programs {
    fn install(&self, data: &Path) {
        std::fs::create_dir(data).unwrap();
        if let Some(user) = &self.user {
            std::os::unix::fs::chown(data, Some(user.uid), Some(user.gid)).unwrap();
        }
        let mut command = self.as_user(&self.initdb);
        command
            .arg("-D")
            .arg(self.root.within(data))
            .args(["-A", "trust", "-U", "postgres"]);
        command.args(["--encoding", "UTF8", "--no-locale", "--no-sync"]);
        output(&mut command);
    }

    fn as_user(&self, program: &Path) -> Command {
        match self.user {
            Some(user) => self.root.command_as(program, user),
            None => self.root.command(program),
        }
    }
}

const SETTINGS: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    // None: the path of a socket may be no longer than 107 bytes.
    "unix_socket_directories=",
    "max_connections=300",
    // Not this machine's, so that nobody takes the one for the other.
    "timezone=Asia/Shanghai",
    "shared_buffers=128MB",
    "max_wal_size=1GB",
    // A container's /dev/shm is small.
    "dynamic_shared_memory_type=mmap",
    // A commit is written before it is answered, and nothing waits for the disk. What was written is the kernel's: SIGKILL
    // takes it from no process, only a crash of the machine would. Full page writes stay on: SIGKILL can tear the write
    // of a page of 8 KB, which the kernel does in pieces of 4 KB.
    "synchronous_commit=on",
    "fsync=off",
    "full_page_writes=on",
];
