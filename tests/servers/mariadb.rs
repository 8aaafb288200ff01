//! MariaDB: the machine's own, and a newer one.

use std::path::Path;
use std::sync::OnceLock;

use super::install::output;
use super::mysql_family::{Product, Programs, datadir, user};
use super::root::Root;
use super::server::Server;

pub type MariaDb = Server<Programs<Installed>>;

/// The newest long-term release.
pub type NewerMariaDb = Server<Programs<Newer>>;

/// The one of this test process. `None`: not installed.
pub fn shared() -> Option<&'static MariaDb> {
    static SHARED: OnceLock<Option<MariaDb>> = OnceLock::new();
    SHARED.get_or_init(MariaDb::dedicated).as_ref()
}

/// As [`shared`].
pub fn newer() -> Option<&'static NewerMariaDb> {
    static SHARED: OnceLock<Option<NewerMariaDb>> = OnceLock::new();
    SHARED.get_or_init(NewerMariaDb::dedicated).as_ref()
}

pub struct Installed;

impl Product for Installed {
    const NAME: &'static str = "MariaDB";
    const SERVER: &'static str = "mariadbd";
    const SETTINGS: &'static [&'static str] = &SETTINGS;

    fn root() -> Option<Root> {
        Some(Root::machine())
    }

    fn install(programs: &Programs<Self>, data: &Path) {
        install(&programs.root, data);
    }
}

pub struct Newer;

impl Product for Newer {
    const NAME: &'static str = "MariaDB 11.8";
    const SERVER: &'static str = "mariadbd";
    const SETTINGS: &'static [&'static str] = &SETTINGS;

    fn root() -> Option<Root> {
        Root::newer("newer-b")
    }

    fn install(programs: &Programs<Self>, data: &Path) {
        install(&programs.root, data);
    }
}

fn install(root: &Root, data: &Path) {
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

const SETTINGS: [&str; 2] = ["--skip-name-resolve", "--innodb-log-file-size=128M"];
