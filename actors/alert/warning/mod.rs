//! Counts of what goes wrong in business code: one message when a count reaches its limit within a period.
//!
//! ```text
//! Warning::add ─▶ Counter (this process: memory) ── once a second ─▶ DbActor: `warning_window` (all processes)
//!                                                                        │ the limit is reached: a row, once
//!                                        Notifier ◀── Outbox ◀── `warning_notice`
//! ```
//!
//! `accumulator.rs` is pure: what is counted and not written. `counter.rs` is the counts of a process and their writing,
//! `added.rs` what an `add` returns. `outbox.rs` hands what was reached to the receivers, each row by one daemon. Which
//! window a count belongs to is decided where all processes meet, in `store/windows.rs`.

mod accumulator;
mod added;
mod counter;
mod definition;
mod log_lines;
mod notice;
mod outbox;
mod recording;
#[cfg(test)]
mod tests;

pub use self::added::{Added, WarningError};
pub(crate) use self::counter::{Counter, EndsCounting};
pub use self::definition::Warning;
pub(crate) use self::outbox::{Outbox, OutboxConfig};
pub(crate) use self::recording::Recording;
