//! What is the same on every server. Each adapter of a server includes this folder once, and it is compiled with the
//! adapter's connection and `dialect`. It is not generic over diesel's backend: each query would need a `where` clause of
//! its own, as a trait cannot imply the bounds of all queries.

mod apply;
mod boots;
mod browse;
pub(super) mod by_ids;
mod claims;
mod cron;
mod daemon_orders;
mod dead;
mod dead_letters;
mod deaths;
mod entries;
mod former;
mod hasten;
mod idempotency;
pub(super) mod limits;
mod making;
mod marks;
pub(super) mod messages;
pub(super) mod migrate;
mod notices;
mod orders;
mod ours;
mod part;
mod permits;
mod portions;
pub(super) mod questions;
mod reader;
mod replay;
mod retention;
pub(super) mod schema;
pub(super) mod store;
mod task_orders;
pub(super) mod tasks;
#[cfg(test)]
mod tests;
mod traces;
mod warnings;
mod writer;

use super::{connect, dialect, lags, named};
#[cfg(test)]
use super::test_server;

/// Rows of one statement: many, so that a round trip costs little; and few enough for the limits on placeholders of MySQL's
/// and PostgreSQL's protocols (65,535) and on packets.
pub(super) const IN_ONE_STATEMENT: usize = 500;
