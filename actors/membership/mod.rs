//! Who this process is among the daemons of the tables, and whether its claims still hold.

mod identity;
mod liveness;

pub(crate) use self::identity::{Owner, host, partition_of};
pub(crate) use self::liveness::{Liveness, Ownership, may_start};
