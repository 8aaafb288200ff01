//! DbActor, the only writer of the database, and how everything else speaks to it. What a database must do is in
//! [`crate::store`].

mod actor;
mod commit_delay;
mod handle;
mod heartbeat;
mod read_outage;
#[cfg(test)]
mod tests;
mod write_queue;

pub(crate) use self::actor::{DbActor, outage_of};
pub(crate) use self::handle::Db;
pub(crate) use self::heartbeat::Heartbeats;
pub(crate) use self::read_outage::ReadOutage;
