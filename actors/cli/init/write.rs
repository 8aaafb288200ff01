//! Writes all files or none: what an error leaves half done is taken away again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// # Errors
///
/// When one file could not be written; then none is there. Files of others are never touched.
pub(super) fn all(directory: &Path, files: &[(String, String)]) -> Result<(), String> {
    let mut made = Made::default();
    for (path, text) in files {
        let path = directory.join(path);
        if let Err(cause) = made.file(&path, text) {
            made.undo();
            return Err(format!(
                "`{}`: {cause}; nothing was left behind",
                path.display()
            ));
        }
    }
    Ok(())
}

/// What we made, in order.
#[derive(Default)]
struct Made {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    fn file(&mut self, path: &Path, text: &str) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            self.directory(directory)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes())
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.directory(above)?;
        }
        fs::create_dir(path)?;
        self.directories.push(path.to_owned());
        Ok(())
    }

    /// Backwards, so that directories are empty when they go. There is nobody to report a failure to.
    fn undo(self) {
        for file in self.files.iter().rev() {
            let _ = fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_takes_away_what_was_written_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("a/b");
        let files = ["x/y", "x/y/z"].map(|path| (path.to_owned(), String::new()));
        let failed = all(&project, &files).unwrap_err();
        assert!(failed.contains("x/y/z"), "{failed}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_others_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b"), "mine").unwrap();
        let files = ["a", "b"].map(|path| (path.to_owned(), "new".to_owned()));
        assert!(all(dir.path(), &files).is_err());
        assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "mine");
        assert!(!dir.path().join("a").exists());
    }
}
