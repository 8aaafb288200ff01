//! What the corpora share: cases in directories, and `check` run on each from outside.
//!
//! A case is a directory with the files of `etc/` that differ from those of `tests/refusals/good`. `run.txt`, where
//! there is one, holds words: `NAME=value` is put into the environment, the others go onto the command line.
//! Each case runs in a directory of its own, with no environment but `TZ=UTC` and `PASSWORD=hunter2`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Below `tests/`.
pub fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The names of the cases, in order.
pub fn cases(corpus: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "good")
        .collect();
    names.sort();
    names
}

/// One run of `check`.
pub struct World {
    dir: TempDir,
    words: Vec<String>,
}

impl World {
    /// A directory whose `etc` holds the good files, and over them those of the case; `words` as in `run.txt`.
    pub fn of(case: &Path, words: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        fs::create_dir(&etc).unwrap();
        for from in [&corpus("refusals").join("good"), case] {
            for file in fs::read_dir(from).unwrap() {
                let path = file.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    fs::copy(&path, etc.join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        let of_case = fs::read_to_string(case.join("run.txt")).unwrap_or_default();
        let words = words.iter().copied().chain(of_case.split_whitespace());
        let words = words.map(str::to_owned).collect();
        Self { dir, words }
    }

    pub fn etc(&self) -> PathBuf {
        self.dir.path().join("etc")
    }

    pub fn check(&self) -> Output {
        let mut command = Command::new(ledger());
        command
            .arg("check")
            .current_dir(self.dir.path())
            .env_clear()
            .envs([("TZ", "UTC"), ("PASSWORD", "hunter2")]);
        for word in &self.words {
            match word.split_once('=') {
                Some((name, value)) => command.env(name, value),
                None => command.arg(word),
            };
        }
        command.output().unwrap()
    }

    /// What lies in the working directory now, beside `etc`.
    pub fn written(&self) -> Vec<String> {
        cases(self.dir.path())
            .into_iter()
            .filter(|name| name != "etc")
            .collect()
    }
}

/// The example, which cargo builds for `cargo test` (not for `cargo test --test NAME`).
pub fn ledger() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let ledger = test.ancestors().nth(2).unwrap().join("examples/ledger");
    assert!(ledger.exists(), "run `cargo build --example ledger` before");
    ledger
}
