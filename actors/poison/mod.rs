//! Slots that show, after a crash, which message's handler ended the process.
//!
//! Each handler that is started takes a [`Slot`] in `data/running-{partition}-{boot}`, a memory-mapped
//! file that its daemon keeps locked while it lives. A daemon that starts reads the files whose lock is
//! free ([`dead_files`]), has the deaths counted in the database, and removes them.
//!
//! A slot is at one of three levels, each a plain store into mapped memory, which outlives the process:
//!
//! | level | since | what a dead file's reader makes of it |
//! | --- | --- | --- |
//! | idle | the handler waits for something | was in flight; no crash |
//! | polled | its future is polled, or its blocking call runs | a suspect, see below |
//! | fatal | its own thread took a fatal signal, or called `exit` | this crash is recorded for it |
//!
//! Why three: "polled" alone would record a crash of every message that happens to run when an operator sends `kill -9` or the
//! power fails, and every busy neighbour of the one that aborts. The thread that dies knows better:
//!
//! - abort, stack overflow, a failed allocation, an illegal instruction end in a **signal on the thread
//!   that did it**; our handler marks that thread's innermost slot, then hands on to the earlier handler
//!   (std's, which reports stack overflows) or to the default. A signal that another process sent
//!   (`kill -ABRT`, a systemd watchdog) proves nothing about the message and marks nothing.
//! - `std::process::exit` runs our `atexit` hook **on the thread that called it**. An end of the process
//!   outside any handler finds no slot there and marks nothing. `_exit` passes every hook and is not seen.
//! - the kernel's **out-of-memory killer** sends SIGKILL, which nobody can catch; it leaves polled slots,
//!   as an operator's `kill -9` does. The difference is in the kernel's count of such kills, noted in
//!   the file every few seconds: a file without a fatal slot, of this kernel boot, whose count has risen
//!   since, has crashes of its polled slots recorded. A count that has not risen means that another process sent the SIGKILL.
//!
//! What that leaves open: a `kill -9` while some *other* process of the same cgroup (without cgroup v2: of
//! the machine) is killed for memory before the next start records crashes of busy handlers wrongly. It costs each
//! of them one attempt and a run alone. A thread or task that a handler starts by itself runs outside its
//! slot: no crash is recorded for what dies there. Another kernel boot, or a system without these counts (macOS):
//! crashes of polled slots are never recorded. A batch's messages share one handler, so they share its death; each
//! then runs alone, which finds the one that did it.

mod cause_of_death;
mod dead_files;
mod file;
mod identity;
mod kernel;
mod layout;
mod lock;
mod quarantine;
mod signals;
mod slot;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub(crate) use self::cause_of_death::Death;
pub(crate) use self::dead_files::{DeadFile, dead_files};
pub(crate) use self::file::SlotFile;
pub(crate) use self::identity::{Identity, Kind, QueueName};
pub(crate) use self::quarantine::{Quarantine, QuarantineGuard, Quarantines, alone_at_first};
pub(crate) use self::slot::{OwnSlot, Slot};

/// Why slots could not be made, taken or read.
#[derive(Debug, Error)]
pub(crate) enum SlotError {
    /// The partition or boot cannot be part of a file's name, or is too long for the file's header.
    #[error(
        "`{0}` cannot name a slot file; right is 1 to {max} of A-Z, a-z, 0-9, `_` and `-`",
        max = layout::NAME_BYTES
    )]
    Name(String),
    /// The file could not be made, locked or put in its place.
    #[error(
        "cannot make the slot file `{path}`; its directory must be writable and on a local disk"
    )]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// There was no room for more slots.
    #[error("cannot add slots to `{path}`; its disk must have room")]
    Grow {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The directory could not be read.
    #[error("cannot list the slot files in `{path}`; it must be a readable directory")]
    List {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A slot was asked for without a message to put into it.
    #[error("a slot needs at least one message's identity")]
    NoIdentity,
}
