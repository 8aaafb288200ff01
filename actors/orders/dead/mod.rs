//! What people order about dead letters, on the command line and over HTTP: which dead letters are meant (`meant.rs`,
//! `group.rs`), where each runs again (`target.rs`), how fast (`rate.rs`) an order goes through them (`walk.rs`), and
//! what it does to them (`work.rs`).

mod edited;
mod group;
mod meant;
mod rate;
mod shape;
mod target;
mod walk;
mod work;

pub(crate) use self::edited::Edited;
pub(crate) use self::group::{Group, Size, among, groups};
pub(crate) use self::meant::{Counted, Meant};
pub(crate) use self::rate::Rate;
pub(crate) use self::target::Targets;
pub(crate) use self::work::{Deed, Done, Stays, Watch, carry_out};
