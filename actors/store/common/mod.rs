//! The statements that all three databases run. Each adapter includes this folder once, and it is compiled with the
//! adapter's connection, `dialect`, `lags` and `named`. It is not generic over diesel's backend: each query would need a `where` clause of its
//! own, as a trait cannot imply the bounds of all queries.
//!
//! `dialect` has what differs: the clock, row locks, how rows are inserted, the forms of names. On SQLite a transaction that
//! writes locks the file from its beginning: what is said of a locked row holds there without a lock of the row.
//!
//! The statements are async, as a server is awaited; those of SQLite end where they are called (`store/sqlite/connection.rs`).

pub(super) mod boots;
mod browse;
mod cron;
pub(super) mod daemon_orders;
pub(super) mod dead;
mod dead_letters;
pub(super) mod deaths;
mod entries;
mod former;
mod hasten;
mod idempotency;
pub(super) mod ids;
pub(super) mod messages;
pub(super) mod notices;
mod orders;
pub(super) mod part;
mod permits;
pub(super) mod questions;
mod reader;
mod replay;
mod retention;
mod runs;
pub(super) mod single;
pub(super) mod task_orders;
pub(super) mod tasks;
mod traces;

use super::{dialect, lags, named};

/// Rows of one statement: many, so that a round trip costs little; and few enough for the limits on placeholders of SQLite
/// (32,766) and of the protocols of MySQL and PostgreSQL (65,535), and on packets.
pub(super) const IN_ONE_STATEMENT: usize = 500;
