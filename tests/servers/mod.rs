//! Real servers for tests: private ones, on a free loopback port, with their data below `target/servers/`.
//!
//! ```ignore
//! let Some(server) = servers::mariadb::shared() else { return };   // not installed: prints LEFT OUT, once
//! let url = server.database();                                     // a fresh, empty database
//!
//! let Some(server) = servers::mariadb::MariaDb::dedicated() else { return };
//! server.pause();  server.resume();                                // SIGSTOP, SIGCONT
//! server.kill();   server.start();                                 // SIGKILL; the same port and data again
//! ```
//!
//! `shared` is one server for all tests of a process, started by the first that asks: its tests must not disturb it, and
//! own a database each. `dedicated` is one's own, to be hung and crashed, and ends when it is dropped. Nothing has to be
//! cleaned up: every server ends with the test process, however that ends, and its data are removed by the next one.
//!
//! Where a server is not installed its tests pass and say so, except where the environment variable `CI` is set.
//!
//! Integration tests take this in with `#[path = "../servers/mod.rs"] mod servers;`, the library's own with
//! `#[cfg(test)] #[path = "../tests/servers/mod.rs"] mod servers;`.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test program uses a part of it; a helper of a test fails the test"
)]

pub mod chromium;
pub mod folder;
pub mod install;
pub mod kafka;
pub mod kafka_go;
pub mod kafka_rights;
pub mod kafka_secured;
pub mod mariadb;
pub mod mysql;
mod mysql_family;
pub mod pgbouncer;
mod port;
pub mod postgres;
mod process;
pub mod recorder;
pub mod redis;
pub mod root;
pub mod sentinels;
pub mod server;
pub mod way;
