//! Where the Go project keeps its files: in the working directory, and its settings as YAML.

use std::fs;
use std::path::Path;

use super::version;
use crate::config::Places;

/// The most files that are listed: a directory with more is no project's root.
const LISTED: usize = 20;

/// A line for each file of the Go project that is not read where it lies.
pub(crate) fn hints(places: &Places) -> Vec<String> {
    let here = Path::new(".");
    let mut hints = Vec::new();
    if !is_same(here, &places.etc) {
        hints.extend(json_files(here).into_iter().map(|name| {
            let etc = places.etc.display();
            if places.etc.join(&name).exists() {
                format!("`{name}` in the working directory, where the Go project reads it, is not read: `{etc}/{name}` is")
            } else {
                format!("`{name}` lies in the working directory, where the Go project reads it: move it to `{etc}/`")
            }
        }));
    }
    let yaml = places.etc.join(format!("{}.yaml", places.environment));
    if yaml.is_file() && !places.settings().exists() {
        hints.push(format!(
            "`{}` is the Go project's: `{} import {}` makes `{}` of it",
            yaml.display(),
            version::program(),
            yaml.display(),
            places.settings().display()
        ));
    }
    hints
}

/// `queue_*.json` and `crontab_*.json`, sorted.
fn json_files(directory: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let ours = name.starts_with("queue_") || name.starts_with("crontab_");
            ours && name.ends_with(".json")
        })
        .collect();
    names.sort();
    names.truncate(LISTED);
    names
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_go_layout_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "queue_script1.json",
            "crontab_a.json",
            "queue.json",
            "queue_a.yaml",
            "package.json",
        ] {
            fs::write(dir.path().join(name), "[]").unwrap();
        }
        assert_eq!(
            json_files(dir.path()),
            ["crontab_a.json", "queue_script1.json"]
        );
    }
}
