//! MariaDB. Its only user is `root`, without a password.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::folder::Folder;
use super::install::{output, program, version};
use super::server::{Kind, Server};

pub type MariaDb = Server<Programs>;

/// The one of this test process. `None`: not installed.
pub fn shared() -> Option<&'static MariaDb> {
    static SHARED: OnceLock<Option<MariaDb>> = OnceLock::new();
    SHARED.get_or_init(MariaDb::dedicated).as_ref()
}

impl MariaDb {
    /// The URL of a fresh, empty database.
    pub fn database(&self) -> String {
        let name = self.fresh_name();
        self.execute(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        format!("mysql://root@127.0.0.1:{}/{name}", self.port())
    }

    /// Statements outside of any database; rows are lines, columns are set apart by tabs.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> String {
        let mut client = Command::new(&self.kind().client);
        client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]);
        client.arg(format!("--port={}", self.port()));
        client.args([
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--execute",
            sql,
        ]);
        output(&mut client)
    }
}

pub struct Programs {
    server: PathBuf,
    install: PathBuf,
    client: PathBuf,
}

impl Kind for Programs {
    const NAME: &'static str = "MariaDB";
    const READY: &'static str = "ready for connections";

    fn find() -> Option<Self> {
        Some(Self {
            server: program("mariadbd")?,
            install: program("mariadb-install-db")?,
            client: program("mariadb")?,
        })
    }

    fn prepare(&self, folder: &Folder, _port: u16) {
        // Another version may not understand the data of this one.
        let template = format!("{}-{}", Self::NAME, version(&self.server));
        folder.copy("data", &template, |path| self.install(path));
    }

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = Command::new(&self.server);
        command.arg("--no-defaults").arg(format!("--port={port}"));
        command.arg(format!("--datadir={}", folder.path("data").display()));
        command.arg(format!("--user={}", user())).args(SETTINGS);
        command
    }
}

impl Programs {
    fn install(&self, data: &Path) {
        let mut command = Command::new(&self.install);
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        // Four megabytes to be copied instead of ninety-six; the server makes it larger at its start.
        command
            .arg("--innodb-log-file-size=4M")
            .arg(format!("--user={}", user()));
        output(&mut command);
    }
}

/// It refuses to run as root until it is told to.
fn user() -> String {
    output(Command::new("id").arg("-un")).trim().to_owned()
}

const SETTINGS: [&str; 11] = [
    "--bind-address=127.0.0.1",
    // In the data folder: the path of a socket may be no longer than 107 bytes.
    "--socket=server.sock",
    "--pid-file=server.pid",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    // Not this machine's, so that nobody takes the one for the other.
    "--default-time-zone=+08:00",
    "--max-connections=500",
    "--innodb-buffer-pool-size=256M",
    "--innodb-log-file-size=128M",
    // A commit is written before it is answered, and is on the disk within a second. What was written is the kernel's:
    // SIGKILL takes it from no process, only a crash of the machine would. The doublewrite buffer stays on: SIGKILL can
    // tear the write of a page of 16 KB, which the kernel does in pieces of 4 KB.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=ON",
];
