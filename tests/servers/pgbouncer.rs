//! PgBouncer before a PostgreSQL server of the tests.

use std::fs;
use std::process::Command;

use super::folder::{self, Folder};
use super::install::left_out;
use super::port;
use super::process::Process;
use super::root::Root;

/// Ends when it is dropped.
pub struct PgBouncer {
    _process: Process,
    port: u16,
}

impl PgBouncer {
    /// With this `pool_mode`, before the server on this port. `None`: it is not installed.
    pub fn before(server: u16, pool_mode: &str) -> Option<Self> {
        let root = Root::machine();
        let Some(program) = root.program("pgbouncer") else {
            left_out("PgBouncer");
            return None;
        };
        let folder = Folder::new(folder::root(), "PgBouncer");
        let port = port::free();
        let users = folder.path("users");
        fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = folder.path("settings.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=trust\nauth_file={}\npool_mode={pool_mode}\n",
            users.display()
        );
        fs::write(&settings, text).unwrap();
        // It refuses to run as root.
        let user = root.instead_of_root("postgres");
        let log = folder.path("log");
        let command = move || {
            // The process has the folder: it is removed after the process has ended.
            let settings = folder.path("settings.ini");
            let mut command = match user {
                Some(user) => root.command_as(&program, user),
                None => Command::new(&program),
            };
            command.arg(settings);
            command
        };
        let process = Process::new("PgBouncer", log, "process up", command);
        process.start().unwrap_or_else(|why| panic!("{why}"));
        Some(Self {
            _process: process,
            port,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}
