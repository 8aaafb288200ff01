//! What MariaDB and MySQL have in common: the protocol, and a user `root` without a password.

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::Folder;
use super::install::{output, program, version};
use super::root::Root;
use super::server::{Kind, Server};

/// A product and the release of it.
pub trait Product: Send + Sync + 'static {
    const NAME: &'static str;
    const SERVER: &'static str;
    /// Beside those that all have.
    const SETTINGS: &'static [&'static str];

    /// `None`: not installed.
    fn root() -> Option<Root>;

    /// Makes the data of a new server in this folder, which does not exist.
    fn install(programs: &Programs<Self>, data: &Path)
    where
        Self: Sized;
}

pub struct Programs<P> {
    pub(super) root: Root,
    pub(super) server: PathBuf,
    client: PathBuf,
    product: PhantomData<P>,
}

impl<P: Product> Server<Programs<P>> {
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

    /// Starts it again with this certificate.
    pub fn start_with_certificate(&self, certificate: &str, key: &str) {
        let data = self.execute("SELECT @@datadir");
        let data = self.kind().root.outside(Path::new(data.trim()));
        fs::write(data.join(CERTIFICATE), certificate).unwrap();
        fs::write(data.join(KEY), key).unwrap();
        self.kill();
        self.start();
    }
}

/// In the data folder, where a test puts them.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

impl<P: Product> Kind for Programs<P> {
    const NAME: &'static str = P::NAME;
    const READY: &'static str = "ready for connections";

    fn find() -> Option<Self> {
        let root = P::root()?;
        Some(Self {
            server: root.program(P::SERVER)?,
            root,
            client: program("mariadb")?,
            product: PhantomData,
        })
    }

    fn home(&self) -> PathBuf {
        self.root.home()
    }

    fn prepare(&self, folder: &Folder, _port: u16) {
        // Another version may not understand the data of this one.
        let version = version(&mut self.root.command(&self.server));
        let template = format!("{}-{version}", P::NAME.replace(' ', "-"));
        folder.copy("data", &template, |path| P::install(self, path));
    }

    fn command(&self, folder: &Folder, port: u16) -> Command {
        let mut command = self.root.command(&self.server);
        command.arg("--no-defaults").arg(format!("--port={port}"));
        command.arg(datadir(&self.root, &folder.path("data")));
        command.arg(format!("--user={}", user()));
        command.args(SETTINGS).args(P::SETTINGS);
        if folder.path("data").join(CERTIFICATE).is_file() {
            // Paths from the data folder.
            command.arg(format!("--ssl-cert={CERTIFICATE}"));
            command.arg(format!("--ssl-key={KEY}"));
        }
        command
    }
}

pub(super) fn datadir(root: &Root, data: &Path) -> String {
    format!("--datadir={}", root.within(data).display())
}

/// It refuses to run as root without this option.
pub(super) fn user() -> String {
    output(Command::new("id").arg("-un")).trim().to_owned()
}

const SETTINGS: [&str; 9] = [
    "--bind-address=127.0.0.1",
    // In the data folder: the path of a socket may be no longer than 107 bytes.
    "--socket=server.sock",
    "--pid-file=server.pid",
    "--character-set-server=utf8mb4",
    // Not this machine's, so that nobody takes the one for the other.
    "--default-time-zone=+08:00",
    "--max-connections=500",
    "--innodb-buffer-pool-size=256M",
    // A commit is written before it is answered, and is on the disk within a second. What was written is the kernel's:
    // SIGKILL takes it from no process, only a crash of the machine would. The doublewrite buffer stays on: SIGKILL can
    // tear the write of a page of 16 KB, which the kernel does in pieces of 4 KB.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=ON",
];
