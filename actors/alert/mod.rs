//! Alerts: what goes wrong is sent to the receivers that the settings name, and pings say outside that this daemon lives.
//!
//! Nothing here may hold up anything else: code that raises an alert hands a [`Notice`] over and goes on. A thread of
//! its own (`courier.rs`) does all that talks to the network, with a task for each receiver.

mod alertmanager;
mod answer;
mod client;
mod courier;
mod delivery;
mod discretion;
mod notice;
mod notifier;
pub(crate) mod own;
mod pace;
mod pinger;
mod receiver;
mod retrying;
mod serving;
mod sign;
mod tail;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
mod waiting;
pub(crate) mod warning;

pub(crate) use self::courier::Courier;
pub(crate) use self::delivery::Delivered;
pub(crate) use self::notice::{Notice, NoticeKind, Origin, Severity};
pub(crate) use self::notifier::{Notifier, test_each};
pub(crate) use self::pinger::{Event as PingEvent, Ping, Pinger};
pub(crate) use self::tail::Output;
