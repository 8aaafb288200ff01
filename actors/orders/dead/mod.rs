//! What people order about dead letters, on the command line and over HTTP: which letters are meant (`meant.rs`, `group.rs`),
//! where each runs again (`target.rs`), and how fast (`rate.rs`) an order goes through them (`walk.rs`).

mod group;
mod meant;
mod rate;
mod shape;
mod target;
mod walk;

pub(crate) use self::group::{Group, Size, among, groups};
pub(crate) use self::meant::Meant;
pub(crate) use self::rate::{Pace, Rate, portion};
pub(crate) use self::target::Targets;
pub(crate) use self::walk::Walk;
