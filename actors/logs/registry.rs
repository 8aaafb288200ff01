//! Which loggers there are in this process: one file for each name.
//!
//! Before logging is set up they write below `logs/` of the working directory; a logger made
//! earlier moves to the configured place with its next line.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use chrono::{DateTime, Local, NaiveDate};
use log::{Level, LevelFilter};
use parking_lot::Mutex;

use super::names::Names;
use super::rolling::{Opened, RollingFile, Spec};
use super::{Limits, keeper, line, record, stderr};
use crate::private;

/// Begins the name of each logger's files, as in the Go project.
const PREFIX: &str = "app";
/// Where loggers write before logging is set up.
const DEFAULT_PATH: &str = "logs";
/// Bytes of a name; with the rest it stays far below what file systems take (255).
const NAME_BYTES: usize = 64;
/// Files of loggers open at once. A logger for each user must not take all descriptors of the process (usually 1,024).
const OPEN_FILES: usize = 64;

static PROCESS: LazyLock<Registry> = LazyLock::new(Registry::default);

/// The file behind all loggers of one name.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) name: String,
    file: RollingFile,
    level: Arc<AtomicUsize>,
    registry: Weak<Mutex<Inner>>,
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
    for sink in PROCESS.inner.lock().sinks.values() {
        sink.file.release_before(today);
    }
}

/// The logs of all loggers below `path`, whichever process writes them: directories with a logger's lock file. Links are not
/// followed, and what another program keeps there is not ours to pack or to delete.
pub(super) fn on_disk(path: &Path, limits: Limits) -> impl Iterator<Item = Spec> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    let specs = directories.map(move |dir| Spec {
        names: Names::new(dir.path(), PREFIX),
        limits,
    });
    specs.filter(|spec| spec.names.gate().exists())
}

#[derive(Debug)]
pub(super) struct Registry {
    level: Arc<AtomicUsize>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limits: Limits,
    sinks: HashMap<String, Arc<Sink>>,
    /// Those whose files are open, in the order of opening.
    open: VecDeque<Weak<Sink>>,
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
            open: VecDeque::new(),
        };
        Self {
            level: Arc::new(AtomicUsize::new(LevelFilter::Info as usize)),
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    pub(super) fn sink(&self, name: &str) -> Arc<Sink> {
        let safe = safe_name(name);
        let mut inner = self.inner.lock();
        if let Some(sink) = inner.sinks.get(&safe) {
            return Arc::clone(sink);
        }
        let spec = inner.spec(&safe);
        let file = RollingFile::new(spec, record::warning, keeper::rolled, complain);
        let sink = Arc::new(Sink {
            name: safe.clone(),
            file,
            level: Arc::clone(&self.level),
            registry: Arc::downgrade(&self.inner),
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
        let mut inner = self.inner.lock();
        path.clone_into(&mut inner.path);
        inner.limits = limits;
        for (name, sink) in &inner.sinks {
            sink.file.configure(inner.spec(name));
        }
    }

    #[cfg(test)]
    fn open_files(&self) -> usize {
        let inner = self.inner.lock();
        inner.sinks.values().filter(|it| it.file.is_open()).count()
    }
}

/// A warning about a logger's file, in the daemon's log where there is one.
fn complain(now: DateTime<Local>, text: &str) {
    if log::max_level() == LevelFilter::Off {
        stderr::say(&line::warning(now, text));
    } else {
        log::warn!("{text}");
    }
}

impl Inner {
    fn spec(&self, name: &str) -> Spec {
        Spec {
            names: Names::new(self.path.join(name), PREFIX),
            limits: self.limits,
        }
    }

    /// Notes that a sink's file was opened, and closes those opened first where there are too many. A logger in use opens its
    /// file again with its next line.
    fn opened(&mut self, sink: &Arc<Sink>) {
        let sink = Arc::downgrade(sink);
        self.open.retain(|other| !other.ptr_eq(&sink));
        self.open.push_back(sink);
        for _ in OPEN_FILES..self.open.len() {
            if let Some(first) = self.open.pop_front()
                && let Some(sink) = first.upgrade()
                && !sink.file.try_close()
            {
                self.open.push_back(first);
            }
        }
    }
}

impl Sink {
    /// Writes a whole line.
    pub(super) fn write(self: &Arc<Self>, now: DateTime<Local>, line: &str) {
        if self.file.write(now, line) == Opened::Now
            && let Some(registry) = self.registry.upgrade()
        {
            let mut inner = registry.lock();
            inner.opened(self);
            let gate = inner.spec(&self.name).names.gate();
            drop(inner);
            // It names the owner of this directory. Without it only the log's writers pack the log.
            let _ = private::options().append(true).create(true).open(gate);
        }
    }

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
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(".app.lock"), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("foreign")).unwrap();
        fs::write(dir.path().join("foreign/app-20261101.log"), "").unwrap();
        fs::write(dir.path().join("script1-20261122.log"), "").unwrap();
        Registry::new(dir.path())
            .sink("pay")
            .write(Local::now(), "line\n");
        let found: Vec<_> = on_disk(dir.path(), Limits::default()).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].names, Names::new(dir.path().join("pay"), PREFIX));
        assert_eq!(
            on_disk(&dir.path().join("none"), Limits::default()).count(),
            0
        );
    }

    #[test]
    fn loggers_without_number_keep_64_files_open_and_lose_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path());
        let first = registry.sink("user_0");
        for user in 0..3 * OPEN_FILES {
            let sink = registry.sink(&format!("user_{user}"));
            sink.write(Local::now(), "line\n");
            first.write(Local::now(), "of the first\n");
        }
        assert_eq!(registry.open_files(), OPEN_FILES);
        let active = |name: &str| {
            let spec = registry.inner.lock().spec(name);
            fs::read_to_string(spec.names.active(Local::now().date_naive())).unwrap()
        };
        assert_eq!(active("user_1"), "line\n");
        assert_eq!(active("user_0").lines().count(), 3 * OPEN_FILES + 1);
    }
}
