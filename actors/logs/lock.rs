//! Locks on files between processes, which never wait.
//!
//! A process that writes a log file holds it *shared* for as long as it has it open. Packing or
//! deleting a file needs it *exclusively*, so nothing is ever written into a file that goes away.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    Held,
    Busy,
}

/// Locks `file` together with other writers.
pub(super) fn shared(file: &File) -> io::Result<Lock> {
    take(file, FlockOperation::NonBlockingLockShared)
}

/// Locks `file` against everyone else.
pub(super) fn exclusive(file: &File) -> io::Result<Lock> {
    take(file, FlockOperation::NonBlockingLockExclusive)
}

fn take(file: &File, operation: FlockOperation) -> io::Result<Lock> {
    match flock(file, operation) {
        Ok(()) => Ok(Lock::Held),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Busy),
        // A file system without locks (some network ones): logging goes on without them.
        Err(Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS) => Ok(Lock::Held),
        Err(error) => Err(error.into()),
    }
}

/// Opens and takes the gate of a log; None while somebody else is renaming its files.
pub(super) fn gate(path: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    Ok(match exclusive(&file)? {
        Lock::Held => Some(file),
        Lock::Busy => None,
    })
}

/// Whether `path` still leads to the open `file`; else it was renamed, replaced or deleted.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
