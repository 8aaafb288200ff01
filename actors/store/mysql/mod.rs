//! MySQL and MariaDB.
//!
//! What is the same on every server stands in `store/server/`, and is compiled here with this database's connection.
//! Its own are the connection, the statements that differ (`dialect.rs`) and what its errors mean.

#[path = "../server/apply.rs"]
mod apply;
#[path = "../server/boots.rs"]
mod boots;
#[path = "../server/browse.rs"]
mod browse;
#[path = "../server/by_ids.rs"]
mod by_ids;
mod claiming;
#[path = "../server/claims.rs"]
mod claims;
mod connect;
mod connection;
#[path = "../server/cron.rs"]
mod cron;
#[path = "../server/daemon_orders.rs"]
mod daemon_orders;
#[path = "../server/dead.rs"]
mod dead;
#[path = "../server/dead_letters.rs"]
mod dead_letters;
#[path = "../server/deaths.rs"]
mod deaths;
mod dialect;
#[path = "../server/entries.rs"]
mod entries;
mod errors;
#[cfg(test)]
mod figures;
#[path = "../server/former.rs"]
mod former;
#[path = "../server/hasten.rs"]
mod hasten;
#[path = "../server/idempotency.rs"]
mod idempotency;
mod inserts;
mod lags;
#[path = "../server/limits.rs"]
mod limits;
#[path = "../server/making.rs"]
mod making;
#[path = "../server/marks.rs"]
mod marks;
#[path = "../server/messages.rs"]
mod messages;
#[path = "../server/migrate.rs"]
mod migrate;
mod migration;
mod named;
#[path = "../server/notices.rs"]
mod notices;
#[path = "../server/orders.rs"]
mod orders;
#[path = "../server/ours.rs"]
mod ours;
#[path = "../server/part.rs"]
mod part;
#[path = "../server/permits.rs"]
mod permits;
#[path = "../server/portions.rs"]
mod portions;
mod product;
#[path = "../server/questions.rs"]
mod questions;
#[path = "../server/reader.rs"]
mod reader;
#[path = "../server/replay.rs"]
mod replay;
#[path = "../server/retention.rs"]
mod retention;
#[path = "../server/schema.rs"]
mod schema;
#[path = "../server/store.rs"]
mod store;
#[path = "../server/task_orders.rs"]
mod task_orders;
#[path = "../server/tasks.rs"]
mod tasks;
#[cfg(test)]
mod test_server;
#[cfg(test)]
#[path = "../server/tests.rs"]
mod tests;
#[path = "../server/traces.rs"]
mod traces;
#[path = "../server/warnings.rs"]
mod warnings;
#[path = "../server/writer.rs"]
mod writer;

pub(in crate::store) use self::store::ServerStore as MysqlStore;

/// Rows of one statement: many, so that a round trip costs little; and few enough for the server's limits on
/// placeholders (65,535) and packets.
const IN_ONE_STATEMENT: usize = 500;
