//! The scripts, and the names of our keys.
//!
//! All keys of ours begin with the list's own name and `:simplest_script:`. No other key is written;
//! docs/en/configuration.md states this for users of access control lists.

use std::sync::LazyLock;

use bb8_redis::redis::Script;

/// | key after the prefix | what it is |
/// | --- | --- |
/// | `boots` | a sorted set: each daemon and until when its heartbeat counts; below zero: judged dead |
/// | `graves` | a sorted set: daemons that were judged dead, and when |
/// | `batches:BOOT` | a hash: the numbers of this boot's batches, and the last number used |
/// | `batch:BOOT:NUMBER` | a list: a head, then messages, the oldest first |
/// | `back` | a list: the messages of dead boots, framed, the oldest at the right end |
/// | `retries` | a sorted set: framed messages and when they are due |
/// | `rate` | a string: from when on the next permit of `rate_limit` is free |
/// | `wake` | an empty string; see `wait.rs` |
/// | `death:ID` | a hash: the crashes that were recorded for a message whose handler ended its process |
#[cfg(test)]
pub(super) fn key(list: &str, name: &str) -> String {
    format!("{list}:simplest_script:{name}")
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));)*
    };
}

scripts! {
    TAKE = "take.lua";
    SETTLE = "settle.lua";
    FINISH = "finish.lua";
    BEAT = "beat.lua";
    RECOVER = "recover.lua";
    RECORD_CRASH = "record_crash.lua";
    LAG = "lag.lua";
    RESTORE = "restore.lua";
    LEAVE = "leave.lua";
    PERMITS = "permits.lua";
}
