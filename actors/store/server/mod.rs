//! What all servers have in common. Each adapter of a server includes this folder once, and it is compiled with the
//! adapter's connection and `dialect`, as `store/common/` is, whose header says why.

mod apply;
pub(super) mod by_ids;
pub(super) mod dead;
pub(super) mod limits;
mod making;
mod marks;
pub(super) mod messages;
pub(super) mod migrate;
mod ours;
mod portions;
mod reader;
mod schema;
pub(super) mod sql;
pub(super) mod store;
pub(super) mod tasks;
#[cfg(test)]
mod tests;
pub(super) mod warnings;
mod writer;

#[cfg(test)]
use super::common::task_orders;
use super::common::{IN_ONE_STATEMENT, boots, ids, single};
#[cfg(test)]
use super::test_server;
use super::{common, connect, dialect, named};
