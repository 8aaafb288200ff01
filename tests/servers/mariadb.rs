//! MariaDB.

use std::path::Path;
use std::sync::OnceLock;

use super::install::output;
use super::mysql_family::{Product, Programs, datadir, user};
use super::root::{Releases, Root};
use super::server::Server;

pub type MariaDb = Server<Programs<Release>>;

/// The one of this test process. `None`: not installed.
pub fn shared() -> Option<&'static MariaDb> {
    static SHARED: OnceLock<Option<MariaDb>> = OnceLock::new();
    SHARED.get_or_init(MariaDb::dedicated).as_ref()
}

/// That of this run.
pub struct Release;

impl Product for Release {
    const NAME: &'static str = "MariaDB";
    const SERVER: &'static str = "mariadbd";
    const SETTINGS: &'static [&'static str] =
        &["--skip-name-resolve", "--innodb-log-file-size=128M"];

    fn root() -> Option<Root> {
        match Releases::of_this_run() {
            Releases::Newer => Root::newer("newer-b"),
            _ => Some(Root::machine()),
        }
    }

    fn install(programs: &Programs<Self>, data: &Path) {
        let root = &programs.root;
        let program = root.program("mariadb-install-db").unwrap();
        let mut command = root.command(&program);
        command.arg("--no-defaults").arg(datadir(root, data));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        // It would refuse a name of this machine that it cannot resolve.
        command.arg("--force");
        // Four megabytes to be copied instead of ninety-six; the server makes it larger at its start.
        command
            .arg("--innodb-log-file-size=4M")
            .arg(format!("--user={}", user()));
        output(&mut command);
    }
}
