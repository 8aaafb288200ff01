//! PostgreSQL.
//!
//! What is the same on every server stands in `store/server/`, and is compiled here with this database's connection.
//! Its own are the connection, the statements that differ (`dialect.rs`) and what its errors mean.

mod connect;
mod connection;
mod dialect;
mod errors;
mod lags;
mod migration;
mod named;
#[path = "../server/mod.rs"]
mod server;
#[cfg(test)]
mod test_server;

pub(in crate::store) use self::server::store::ServerStore as PostgresStore;
