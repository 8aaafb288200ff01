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

use crate::private;

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

/// Opens and takes the gate of a log; None while another process is renaming its files.
///
/// Whoever may open the gate may lock it, and then nothing is rolled any more: it is this user's alone. An older one,
/// which another process may have open already, gives way to a new one.
pub(super) fn gate(path: &Path) -> io::Result<Option<File>> {
    let mut options = private::options();
    options.write(true).create(true).truncate(false);
    let mut file = options.open(path)?;
    // A file system without modes leaves it as it is.
    if private::is_open_to_others(&file)?
        && private::close_to_others(&file).is_ok()
        && !private::is_open_to_others(&file)?
    {
        let fresh = path.with_extension(format!("lock.{}", std::process::id()));
        file = options.open(&fresh)?;
        private::close_to_others(&file)?;
        fs::rename(&fresh, path)?;
    }
    let held = exclusive(&file)? == Lock::Held && is_at(&file, path)?;
    Ok(held.then_some(file))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_gate_that_anybody_could_lock_holds_up_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".app.lock");
        // An earlier version made it, and another user of the machine keeps it locked.
        let theirs = File::create(&path).unwrap();
        theirs
            .set_permissions(fs::Permissions::from_mode(0o644))
            .unwrap();
        assert_eq!(exclusive(&theirs).unwrap(), Lock::Held);
        let ours = gate(&path).unwrap().unwrap();
        assert!(!private::is_open_to_others(&ours).unwrap());
        assert!(gate(&path).unwrap().is_none(), "a writer of ours does");
        drop(ours);
        assert!(gate(&path).unwrap().is_some());
    }
}
