//! Which loggers there are in this process: one file for each name, whoever asks for it.
//!
//! Before logging is set up they write below `logs/` of the working directory; a logger made
//! earlier moves to the configured place with its next line.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use log::{Level, LevelFilter};

use super::names::Names;
use super::rolling::{RollingFile, Spec};
use super::{Limits, keeper, record};

/// Begins the name of each logger's files, as in the Go project.
const PREFIX: &str = "app";
/// Where loggers write before logging is set up.
const DEFAULT_PATH: &str = "logs";
/// Bytes of a name; with the rest it stays far below what file systems take (255).
const NAME_BYTES: usize = 64;

static PROCESS: LazyLock<Registry> = LazyLock::new(Registry::default);

/// The file behind all loggers of one name.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) name: String,
    pub(super) file: RollingFile,
    level: Arc<AtomicUsize>,
}

/// The sink of this process for `name`.
pub(super) fn sink(name: &str) -> Arc<Sink> {
    PROCESS.sink(name)
}

/// Moves all loggers, present and future, to where the settings want them.
pub(super) fn configure(path: &Path, limits: Limits, level: LevelFilter) {
    PROCESS.configure(path, limits, level);
}

/// Lets go of files of earlier days.
pub(super) fn release_before(today: NaiveDate) {
    for sink in PROCESS.inner().sinks.values() {
        sink.file.release_before(today);
    }
}

/// The logs of all loggers below `path`, whichever process writes them.
pub(super) fn on_disk(path: &Path, limits: Limits) -> impl Iterator<Item = Spec> {
    let entries = fs::read_dir(path).into_iter().flatten();
    let directories = entries.filter_map(|entry| Some(entry.ok()?.path()).filter(|it| it.is_dir()));
    directories.map(move |dir| Spec {
        names: Names::new(dir, PREFIX),
        limits,
    })
}

#[derive(Debug)]
pub(super) struct Registry {
    level: Arc<AtomicUsize>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limits: Limits,
    sinks: HashMap<String, Arc<Sink>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(DEFAULT_PATH)
    }
}

impl Registry {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        let inner = Inner {
            path: path.into(),
            limits: Limits::default(),
            sinks: HashMap::new(),
        };
        Self {
            level: Arc::new(AtomicUsize::new(LevelFilter::Info as usize)),
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn sink(&self, name: &str) -> Arc<Sink> {
        let safe = safe_name(name);
        let mut inner = self.inner();
        if let Some(sink) = inner.sinks.get(&safe) {
            return Arc::clone(sink);
        }
        let file = RollingFile::new(inner.spec(&safe), record::warning, keeper::rolled);
        let sink = Arc::new(Sink {
            name: safe.clone(),
            file,
            level: Arc::clone(&self.level),
        });
        inner.sinks.insert(safe.clone(), Arc::clone(&sink));
        drop(inner);
        if safe != name {
            log::warn!(
                "logger name `{}` is written as `{safe}`; a name is 1 to {NAME_BYTES} of A-Z a-z 0-9 _ -",
                name.escape_debug()
            );
        }
        sink
    }

    pub(super) fn configure(&self, path: &Path, limits: Limits, level: LevelFilter) {
        self.level.store(level as usize, Ordering::Relaxed);
        let mut inner = self.inner();
        path.clone_into(&mut inner.path);
        inner.limits = limits;
        for (name, sink) in &inner.sinks {
            sink.file.configure(inner.spec(name));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The map is whole between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn spec(&self, name: &str) -> Spec {
        Spec {
            names: Names::new(self.path.join(name), PREFIX),
            limits: self.limits,
        }
    }
}

impl Sink {
    pub(super) fn takes(&self, level: Level) -> bool {
        level as usize <= self.level.load(Ordering::Relaxed)
    }
}

/// The name as one path component that cannot lead anywhere else. Business code must not fail for
/// a name, so what does not fit is replaced.
fn safe_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let safe: String = name
        .chars()
        .take(NAME_BYTES)
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    if safe.is_empty() {
        "_".to_owned()
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_harmless_path_component() {
        let long = "x".repeat(70);
        let cases = [
            ("testLog", "testLog"),
            ("pay_v2-eu", "pay_v2-eu"),
            ("../../etc", "______etc"),
            ("..", "__"),
            ("a/b", "a_b"),
            ("订单", "__"),
            ("", "_"),
            (&long, &long[..NAME_BYTES]),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_name(name), safe, "{name}");
        }
    }

    #[test]
    fn one_name_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path());
        assert!(Arc::ptr_eq(&registry.sink("a"), &registry.sink("a")));
        assert!(Arc::ptr_eq(&registry.sink("a/b"), &registry.sink("a_b")));
        assert!(!Arc::ptr_eq(&registry.sink("a"), &registry.sink("b")));
    }

    #[test]
    fn all_loggers_below_a_directory_are_found_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pay")).unwrap();
        fs::write(dir.path().join("script1-20261122.log"), "").unwrap();
        let found: Vec<_> = on_disk(dir.path(), Limits::default()).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].names, Names::new(dir.path().join("pay"), PREFIX));
        assert_eq!(
            on_disk(&dir.path().join("none"), Limits::default()).count(),
            0
        );
    }
}
