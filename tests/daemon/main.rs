//! The daemon from outside: the built `ledger` example as a process, in a directory of its own for each test.
//!
//! A test knows only what a user could know: files, exit statuses, lines of the log, rows of the database, and what the
//! handlers wrote into the ledger. It waits for those, never for time to pass.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod commands;
mod configuration;
mod cron;
mod dead;
mod demo;
mod failing;
mod ledger;
mod losses;
mod pairs;
mod poison;
mod process;
mod redis;
#[path = "../servers/mod.rs"]
mod servers;
mod silence;
mod stopping;
mod wait;
mod world;
