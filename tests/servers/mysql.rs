//! MySQL itself, the newest long-term release.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::install::output;
use super::mysql_family::{Product, Programs, datadir, user};
use super::root::Root;
use super::server::Server;

pub type MySql = Server<Programs<Release>>;

/// The one of this test process. `None`: not installed.
pub fn shared() -> Option<&'static MySql> {
    static SHARED: OnceLock<Option<MySql>> = OnceLock::new();
    SHARED.get_or_init(MySql::dedicated).as_ref()
}

pub struct Release;

impl Product for Release {
    const NAME: &'static str = "MySQL";
    const SERVER: &'static str = "mysqld";
    const SETTINGS: &'static [&'static str] = &[
        // Its names are those of addresses: `root@127.0.0.1` is one of ours.
        "--skip-name-resolve",
        "--mysqlx=OFF",
        "--secure-file-priv=NULL",
        "--innodb-redo-log-capacity=128M",
        // The binary log stays on, as it is by default; as with the redo log, the disk is not waited for.
        "--sync-binlog=0",
    ];

    fn root() -> Option<Root> {
        Root::newer("newer-a")
    }

    fn install(programs: &Programs<Self>, data: &Path) {
        let root = &programs.root;
        let users = data.with_extension("users.sql");
        fs::write(&users, USERS).unwrap();
        let mut command = root.command(&programs.server);
        command
            .args(["--no-defaults", "--initialize-insecure"])
            .arg(datadir(root, data))
            .arg(format!("--user={}", user()))
            .arg(format!("--init-file={}", root.within(&users).display()))
            // Eight megabytes to be copied instead of a hundred; the server makes it larger at its start.
            .arg("--innodb-redo-log-capacity=8M");
        output(&mut command);
        fs::remove_file(users).unwrap();
    }
}

/// By address, without a password.
const USERS: &str = "CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
";
