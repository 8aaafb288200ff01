//! Orders that people give to all daemons of an environment that share the tables: they are rows, so they hold whether a
//! daemon runs or not, and survive restarts. Each daemon reads them once a second.

mod by_command;
pub(crate) mod dead;
mod giving;
mod open;
mod pauses;
mod watching;

pub(crate) use self::giving::{Target, Wish, give};
pub(crate) use self::open::{ORDERS_KEPT_MS, Orders};
pub(crate) use self::pauses::{PauseFlag, PauseKind, Pauses};
pub(crate) use self::watching::{READING, learn_first, watch};
