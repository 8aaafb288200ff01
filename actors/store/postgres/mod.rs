//! PostgreSQL.
//!
//! What is the same on every database stands in `store/common/`, what is the same on every server in `store/server/`; both
//! are compiled here with this database's connection.
//! Its own are the connection, the statements that differ (`dialect.rs`) and what its errors mean.

#[path = "../common/mod.rs"]
mod common;
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
