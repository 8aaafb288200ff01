//! Files and directories of ours that nobody but this user may read: they hold payloads, parameters and results.
//!
//! Whoever may open a file can also lock it (`flock` asks for no more), so this is what keeps other users of the machine from
//! holding up a log as well. The modes are set for each file and not by `umask`: handlers and cron runs would inherit that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Makes the directory and those above it, as far as they are missing. One that is there keeps its mode: it may be shared
/// with other programs on purpose.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
}

/// Options that make a file private where they make one.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Whether others may open this file of ours. One of another user is that user's affair.
pub(crate) fn is_open_to_others(file: &File) -> io::Result<bool> {
    let there = file.metadata()?;
    let is_ours = there.uid() == rustix::process::geteuid().as_raw();
    Ok(is_ours && there.mode() & OTHERS != 0)
}

/// Makes a file private that an earlier version or another program has made readable for all.
pub(crate) fn close_to_others(file: &File) -> io::Result<()> {
    if is_open_to_others(file)? {
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private_and_what_is_there_can_be_closed() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        create_dir_all(&deep).unwrap();
        create_dir_all(&deep).unwrap();
        assert_eq!((mode(&deep), mode(&dir.path().join("a"))), (0o700, 0o700));
        let path = deep.join("file");
        let file = options().write(true).create(true).open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        file.set_permissions(fs::Permissions::from_mode(0o644))
            .unwrap();
        assert!(is_open_to_others(&file).unwrap());
        close_to_others(&file).unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}
