//! The lock on a run's file: held by the run while it lives, asked about by everyone else.
//!
//! An open file description lock, not `flock`: it can be *queried* without being taken
//! (`F_OFD_GETLK`, Linux and macOS), so any number of daemons may query it at the same time and the
//! run's own attempt to lock never fails because of a query. Unlike a classic POSIX
//! record lock it does not vanish when the same process closes another descriptor of the file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Takes the exclusive lock; `false` where another process holds it.
///
/// It ends with [`unlock`], or with the last descriptor, which a forked descendant may have.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match fcntl(file, libc::F_OFD_SETLK, &mut whole_file(libc::F_WRLCK)) {
        Ok(()) => Ok(true),
        // POSIX allows either for "held by another".
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Gives the lock up at once, even if another process has a descriptor of it.
///
/// Closing alone would leave it, for some milliseconds, to a process that is just being started:
/// until it executes its program that has all descriptors too.
pub(super) fn unlock(file: &File) -> io::Result<()> {
    fcntl(file, libc::F_OFD_SETLK, &mut whole_file(libc::F_UNLCK))
}

/// Whether any process holds the lock, without taking it.
///
/// Asked through a descriptor of one's own: a holder does not conflict with itself.
pub(super) fn is_locked(file: &File) -> io::Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// The whole file, whatever its length; `kind` is a `c_int` here and a `c_short` there.
fn whole_file(kind: impl Into<i32>) -> libc::flock {
    // SAFETY: `flock` is a plain C struct of integers, for which zero is a value. `l_pid` must be
    // zero for these locks, and length zero means "to the end, wherever that is".
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.into() as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

fn fcntl(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` is borrowed, and these commands read and write
    // one `flock`, which the pointer leads to.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_seen_without_being_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        let holder = File::create(&path).unwrap();
        let other = File::open(&path).unwrap();
        assert!(!is_locked(&other).unwrap());
        assert!(
            try_lock(&holder).unwrap(),
            "the query must not have locked it"
        );
        assert!(is_locked(&other).unwrap());
        let rival = File::options().append(true).open(&path).unwrap();
        assert!(!try_lock(&rival).unwrap());
        drop(other);
        drop(rival);
        assert!(is_locked(&File::open(&path).unwrap()).unwrap());
        unlock(&holder).unwrap();
        assert!(!is_locked(&File::open(&path).unwrap()).unwrap());
    }
}
