//! A name for a socket that the system takes, however long its path is.
//!
//! The address of a Unix socket has room for a hundred bytes and a few. On Linux a longer path goes by way of its directory,
//! which is opened, and named by its descriptor. Elsewhere it is refused, with what would help.

use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a path in a socket's address, without the zero at its end: 108 on Linux, 104 on macOS.
const MOST_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Another name of the same file, for as long as this lives.
#[derive(Debug)]
pub(super) struct ShortPath {
    path: PathBuf,
    /// What the path names.
    #[cfg(target_os = "linux")]
    _directory: Option<rustix::fd::OwnedFd>,
}

impl ShortPath {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path itself, where that is short enough.
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::fs::{Mode, OFlags, open};

        let (Some(directory), Some(name), true) = (
            path.parent(),
            path.file_name(),
            path.as_os_str().len() > MOST_BYTES,
        ) else {
            return Ok(Self {
                path: path.to_owned(),
                _directory: None,
            });
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(directory, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(name);
        Ok(Self {
            path,
            _directory: Some(directory),
        })
    }

    /// Its path itself, where that is short enough.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        match path.as_os_str().len() > MOST_BYTES {
            false => Ok(Self {
                path: path.to_owned(),
            }),
            true => Err(io::Error::other(format!(
                "its path has more than the {MOST_BYTES} bytes that this system takes; start the daemon in a directory \
                 nearer to the root, or above the data directory"
            ))),
        }
    }
}
