//! The daemon from outside: the built `ledger` example as a process, in a directory of its own for each test.
//!
//! A test knows only what a user could know: files, exit statuses, lines of the log, rows of the database, and what the
//! handlers wrote into the ledger. It waits for those, never for time to pass.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod answers;
mod bad_input;
mod browser;
mod command_orders;
mod commands;
mod configuration;
mod context;
mod cron;
mod cron_blocking;
mod cron_by_hand;
mod cron_exec;
mod cron_faults;
mod cron_follow;
mod cron_kills;
mod cron_orders;
mod cron_outage;
mod cron_pace;
mod cron_pairs;
mod cron_places;
mod database;
mod dead;
mod dead_groups;
mod delay_orders;
mod demo;
mod documents;
mod drop_in;
mod engine;
mod failing;
mod files;
mod flight;
mod frozen;
mod go_program;
mod http;
mod idempotency;
mod kafka;
mod lag_checks;
mod large_messages;
mod lateness;
mod ledger;
mod logs;
mod losses;
mod migration;
mod outage;
mod own_alerts;
mod own_code;
mod pairs;
mod pauses;
mod pings;
mod poison;
mod pooler;
mod process;
mod rate_limit;
mod receivers;
mod redis;
mod refused_writes;
mod reload;
mod scrapes;
mod server_settings;
#[path = "../servers/mod.rs"]
mod servers;
mod signals;
mod silence;
mod stopping;
mod table_speed;
mod traces;
mod two_daemons;
mod unconsumed;
mod unread_stderr;
mod wait;
mod warnings;
mod world;
mod zone;
