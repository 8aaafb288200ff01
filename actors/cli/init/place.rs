//! Where the project goes.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// How many of the things in the way are named.
const NAMED: usize = 10;
/// May be there before the project is: `git init` first is a habit.
const REPOSITORY: &str = ".git";

/// Refuses a directory with something in it, naming what.
pub(super) fn check_empty(directory: &Path) -> Result<(), String> {
    let shown = directory.display();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(format!("`{shown}`: {cause}; nothing was written")),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| format!("`{shown}`: {cause}; nothing was written"))?;
        found.push(entry.file_name().to_string_lossy().into_owned());
    }
    found.retain(|name| name != REPOSITORY);
    found.sort();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let names: Vec<String> = found
        .iter()
        .take(NAMED)
        .map(|name| format!("`{}`", name.escape_debug()))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!(
        "`{shown}` is not empty: it has {}{more}; nothing was written. A new directory would be right",
        names.join(", ")
    ))
}

/// The directory's own name, also where it is given as `.`.
pub(super) fn name(directory: &Path) -> String {
    let full = directory.canonicalize();
    let full = full.as_deref().unwrap_or(directory);
    full.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether a directory above has a workspace, which this package is no member of.
pub(super) fn inside_workspace(directory: &Path) -> bool {
    let Ok(full) = std::path::absolute(directory) else {
        return false;
    };
    full.ancestors().skip(1).any(|above| {
        fs::read_to_string(above.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.lines().any(|line| line.starts_with("[workspace")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_empty_directories_and_fresh_repositories_are_right() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_empty(&dir.path().join("new")), Ok(()));
        assert_eq!(check_empty(dir.path()), Ok(()));
        fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(check_empty(dir.path()), Ok(()));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for n in 10..22 {
            fs::write(dir.path().join(format!("f{n}")), "").unwrap();
        }
        let refused = check_empty(dir.path()).unwrap_err();
        assert!(
            refused.contains("`f10`, `f11`") && refused.contains("and 2 more"),
            "{refused}"
        );
        assert!(check_empty(&dir.path().join("f10")).is_err());
    }

    #[test]
    fn a_workspace_above_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("a/orders");
        assert!(!inside_workspace(&project));
        fs::write(dir.path().join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
        assert!(inside_workspace(&project));
    }
}
