//! The database file, and whether it is still the one that this process began with.
//!
//! A file that was removed or replaced lives on for the processes that have it open, and everything written to it is
//! gone with the last of them. So a commit is answered only while the path still leads to the file, and so is a
//! heartbeat, by which the daemon notices (`db/heartbeat.rs`). No connection is opened to a file that came in its
//! place: two halves of a queue in two files would be worse than an end.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use diesel::SqliteConnection;

use super::connect;
use crate::private;
use crate::store::error::DbError;

/// The log beside the file (`-wal`), as one connection has it. While that is open SQLite neither removes nor replaces
/// the log; removing it takes the committed rows from every process that opens the file later.
#[derive(Debug, Default)]
pub(super) struct WriteAheadLog {
    identity: Option<(u64, u64)>,
}

impl WriteAheadLog {
    /// To be called when the connection has committed.
    ///
    /// # Errors
    ///
    /// [`DbError::Replaced`]: it is not there any more, or another one is.
    pub(super) fn check(&mut self, file: &DatabaseFile) -> Result<(), DbError> {
        let mut path = file.path.clone().into_os_string();
        path.push("-wal");
        let there = match fs::metadata(&path) {
            Ok(there) => Some((there.dev(), there.ino())),
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            Err(_) => return Ok(()),
        };
        let how = match (self.identity, there) {
            (None, there) => {
                self.identity = there;
                return Ok(());
            }
            (Some(known), Some(there)) if known == there => return Ok(()),
            (Some(_), Some(_)) => "given another `-wal` file",
            (Some(_), None) => "robbed of its `-wal` file",
        };
        Err(DbError::Replaced {
            path: file.path.clone(),
            how,
        })
    }
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Device and inode. The inode's number is not given to another file while a connection has this one open.
    identity: OnceLock<(u64, u64)>,
}

impl DatabaseFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            identity: OnceLock::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory and the file, readable for this user alone, where they are missing. SQLite gives its log and the
    /// index of it the mode of the file.
    pub(super) fn make(&self) -> Result<(), DbError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let made = private::create_dir_all(directory).and_then(|()| {
            // Closed before any connection of this process has locks on it, which a later close would drop.
            match private::options()
                .write(true)
                .create_new(true)
                .open(&self.path)
            {
                Err(cause) if cause.kind() != ErrorKind::AlreadyExists => Err(cause),
                _ => Ok(()),
            }
        });
        made.map_err(|cause| DbError::Open {
            path: self.path.clone(),
            cause: cause.to_string(),
        })
    }

    /// From now on this file is the one.
    pub(super) fn remember(&self) {
        if let Ok(there) = fs::metadata(&self.path) {
            let _ = self.identity.set((there.dev(), there.ino()));
        }
    }

    /// # Errors
    ///
    /// [`DbError::Replaced`]: the path leads to nothing, or to another file.
    pub(super) fn check(&self) -> Result<(), DbError> {
        let Some(known) = self.identity.get() else {
            return Ok(());
        };
        let how = match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == *known => return Ok(()),
            Ok(_) => "replaced by another file",
            Err(cause) if cause.kind() == ErrorKind::NotFound => "removed",
            // Nothing is known of it. A statement finds out what is wrong.
            Err(_) => return Ok(()),
        };
        Err(DbError::Replaced {
            path: self.path.clone(),
            how,
        })
    }

    /// A connection to the file, to no other that came in its place.
    pub(super) fn open(&self) -> Result<SqliteConnection, DbError> {
        let opened = connect::open(&self.path);
        // Also where it failed: a file that was removed is reported as that.
        self.check()?;
        opened
    }
}
