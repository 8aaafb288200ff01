//! Generated files on the disk: all of them or none, and none that a person changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::bootstrap::failure::Failure;

/// How the first line of a file begins.
const HEADER: &str =
    "// Written by `generate-model`, which writes it anew while nobody changes it. Checksum: ";

/// The files to be, by their paths.
pub(super) type Files = BTreeMap<PathBuf, String>;

/// Whether a file with content of others is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Refused,
    Replaced,
}

/// Puts the header before a text.
pub(super) fn with_header(text: &str) -> String {
    format!("{HEADER}{}\n\n{text}", checksum(text))
}

fn checksum(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
        .simple()
        .to_string()
}

/// Whether it is as we wrote it. Line ends are not a change: Git may make `\r\n` of them.
fn is_ours(text: &str) -> bool {
    let text = text.replace("\r\n", "\n");
    let header = text
        .strip_prefix(HEADER)
        .and_then(|rest| rest.split_once("\n\n"));
    header.is_some_and(|(sum, body)| sum == checksum(body))
}

/// Writes what is not there yet; the number of files written.
///
/// # Errors
///
/// When a person changed one of the files, or one cannot be written. Then all are as before, except where a rename fails
/// after others went well.
pub(super) fn write(files: &Files, changed: Changed) -> Result<usize, Failure> {
    let mut stale = Vec::new();
    let mut refused = Vec::new();
    for (path, text) in files {
        match fs::read_to_string(path) {
            Ok(found) if found == *text => {}
            Ok(found) if changed == Changed::Refused && !is_ours(&found) => {
                refused.push(format!("`{}`", path.display()));
            }
            Ok(_) => stale.push((path, text)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => stale.push((path, text)),
            Err(_) if changed == Changed::Refused && path.is_file() => {
                refused.push(format!("`{}`", path.display()));
            }
            Err(_) if path.is_file() => stale.push((path, text)),
            Err(cause) => return Err(unwritten(path, &cause)),
        }
    }
    if !refused.is_empty() {
        return Err(Failure::misused(format!(
            "{}: not as `generate-model` wrote it; nothing was written. Move the changes into a file of your own, or let \
             `--force` replace it",
            refused.join(", ")
        )));
    }
    let mut drafts = Vec::new();
    let written = stale.iter().try_for_each(|(path, text)| {
        let draft = path.with_extension(format!("rs.{}", std::process::id()));
        drafts.push(draft.clone());
        draft_of(path, &draft, text).map_err(|cause| unwritten(path, &cause))
    });
    let written = written.and_then(|()| {
        let mut pairs = stale.iter().zip(&drafts);
        pairs.try_for_each(|((path, _), draft)| {
            fs::rename(draft, path).map_err(|cause| unwritten(path, &cause))
        })
    });
    if written.is_err() {
        for draft in &drafts {
            // It may not have been made, or be renamed.
            let _ = fs::remove_file(draft);
        }
    }
    written.map(|()| stale.len())
}

fn draft_of(path: &Path, draft: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(draft, text)
}

fn unwritten(path: &Path, cause: &io::Error) -> Failure {
    Failure::failed(format!("`{}` cannot be written: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_writes_nothing_and_changed_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("m/a.rs"), dir.path().join("m/b.rs"));
        let files = |text: &str| {
            Files::from([first.clone(), second.clone()].map(|path| (path, with_header(text))))
        };
        assert_eq!(write(&files("one\n"), Changed::Refused).unwrap(), 2);
        assert_eq!(write(&files("one\n"), Changed::Refused).unwrap(), 0);
        assert_eq!(write(&files("two\n"), Changed::Refused).unwrap(), 2);
        let mine = fs::read_to_string(&second).unwrap() + "// mine\n";
        fs::write(&second, &mine).unwrap();
        let text = format!(
            "{:?}",
            write(&files("three\n"), Changed::Refused).unwrap_err()
        );
        assert!(
            text.contains("m/b.rs") && text.contains("--force"),
            "{text}"
        );
        assert_eq!(fs::read_to_string(&first).unwrap(), with_header("two\n"));
        assert_eq!(fs::read_to_string(&second).unwrap(), mine);
        assert_eq!(write(&files("three\n"), Changed::Replaced).unwrap(), 2);
        assert_eq!(fs::read_dir(dir.path().join("m")).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_leaves_all_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("z"), "a file").unwrap();
        let (good, bad) = (dir.path().join("a.rs"), dir.path().join("z/b.rs"));
        let files = Files::from([good.clone(), bad].map(|path| (path, with_header("x"))));
        assert!(write(&files, Changed::Refused).is_err());
        assert!(!good.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
