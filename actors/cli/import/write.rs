//! The new file, whole or not at all, and for its owner alone: it holds passwords.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FOR_ITS_OWNER: u32 = 0o600;

/// # Errors
///
/// When the file is there and not to be replaced, or cannot be written; then everything is as before.
pub(super) fn write(target: &Path, text: &str, replace: bool) -> io::Result<()> {
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    let draft = target.with_extension(format!("json.{}", std::process::id()));
    let written = new_file(&draft, text).and_then(|()| match replace {
        true => fs::rename(&draft, target),
        // Unlike a rename, a link does not replace a file that came in the meantime.
        false => fs::hard_link(&draft, target),
    });
    if !replace || written.is_err() {
        // It may not have been made.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn new_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FOR_ITS_OWNER)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
