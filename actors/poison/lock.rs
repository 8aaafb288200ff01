//! A file's lock that ends when its owner is dropped, or its process.
//!
//! Unlocked by word, not only by closing: a process that is being spawned at this moment holds a copy of
//! every descriptor until its `exec`, and would keep the lock that long.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// An open file and its lock.
#[derive(Debug)]
pub(super) struct Locked(File);

/// Against which processes a lock is held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Against {
    /// Anybody.
    All,
    /// Owners of an exclusive lock only.
    Exclusive,
}

impl Locked {
    /// Locks `file` without waiting; `None` when another holds it.
    pub(super) fn try_new(file: File, against: Against) -> io::Result<Option<Self>> {
        let operation = match against {
            Against::All => FlockOperation::NonBlockingLockExclusive,
            Against::Exclusive => FlockOperation::NonBlockingLockShared,
        };
        match flock(&file, operation) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing follows and does the same; there is nothing to do about an error.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
