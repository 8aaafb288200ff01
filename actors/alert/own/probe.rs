//! Asks how full disks are. A file system that hangs holds up a thread of its own, and nothing else: each path has one
//! question at a time, and a question that is not answered is itself an answer. So is an error, but for a path that was never
//! there: it is made by its first use.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{StatVfsMountFlags, statvfs};
use tokio::time::Instant;

/// How often a disk is asked.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// What a file system reports about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskFacts {
    /// What this process may still use.
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) is_read_only: bool,
    /// Paths of one device are one disk.
    pub(crate) device: u64,
}

/// What is known of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskSight {
    pub(crate) path: String,
    /// The last answer; none before the first, and where the path cannot be asked.
    pub(crate) facts: Option<DiskFacts>,
    /// For how many seconds a question has waited for its answer.
    pub(crate) silent_seconds: u64,
    /// What is answered instead of facts.
    pub(crate) failure: Option<DiskFailure>,
}

/// All questions since then were answered by an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskFailure {
    /// The last error.
    pub(crate) cause: String,
    /// Seconds since the first of them was asked.
    pub(crate) lasts_seconds: u64,
}

type Ask = fn(&Path) -> io::Result<DiskFacts>;

/// See the module's header. Outlives an AlertActor.
#[derive(Clone, Default)]
pub(crate) struct Disks(Arc<Vec<Disk>>);

struct Disk {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    ask: Ask,
}

#[derive(Default)]
struct State {
    facts: Option<DiskFacts>,
    /// It was there once.
    was_there: bool,
    /// The last error, and when the first in a row was asked for.
    failure: Option<(String, Instant)>,
    asked_at: Option<Instant>,
    is_under_way: bool,
}

impl Disks {
    pub(crate) fn below(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::asked_by(paths, facts_of)
    }

    fn asked_by(paths: impl IntoIterator<Item = PathBuf>, ask: Ask) -> Self {
        let disks = paths.into_iter().map(|path| Disk {
            path,
            state: Arc::default(),
            ask,
        });
        Self(Arc::new(disks.collect()))
    }

    /// Asks those whose last answer is old, and returns what is known, at once.
    pub(super) fn poll(&self, now: Instant) -> Vec<DiskSight> {
        self.0.iter().map(|disk| disk.poll(now)).collect()
    }
}

impl Disk {
    fn poll(&self, now: Instant) -> DiskSight {
        let mut state = self.state.lock();
        let asked_at = state.asked_at;
        let is_old = asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASKED_EVERY);
        if is_old && !state.is_under_way {
            state.asked_at = Some(now);
            state.is_under_way = self.begin(now);
        }
        let silent = match (state.is_under_way, state.asked_at) {
            (true, Some(at)) => now.saturating_duration_since(at).as_secs(),
            _ => 0,
        };
        DiskSight {
            path: self.path.display().to_string(),
            facts: state.facts,
            silent_seconds: silent,
            failure: state.failure.as_ref().map(|(cause, since)| DiskFailure {
                cause: cause.clone(),
                lasts_seconds: now.saturating_duration_since(*since).as_secs(),
            }),
        }
    }

    /// Whether a thread could be started for it. Not one of a runtime's: that would wait for it at its end.
    fn begin(&self, now: Instant) -> bool {
        let (path, state, ask) = (self.path.clone(), Arc::clone(&self.state), self.ask);
        let asking = thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || {
                let answer = ask(&path);
                state.lock().answered(answer, now);
            });
        asking
            .inspect_err(|cause| log::debug!("no thread to ask a disk: {cause}"))
            .is_ok()
    }
}

impl State {
    fn answered(&mut self, answer: io::Result<DiskFacts>, asked_at: Instant) {
        self.is_under_way = false;
        match answer {
            Ok(facts) => {
                self.facts = Some(facts);
                self.was_there = true;
                self.failure = None;
            }
            Err(cause) => {
                self.facts = None;
                if self.was_there || cause.kind() != io::ErrorKind::NotFound {
                    let since = self.failure.as_ref().map_or(asked_at, |(_, since)| *since);
                    self.failure = Some((cause.to_string(), since));
                }
            }
        }
    }
}

fn facts_of(path: &Path) -> io::Result<DiskFacts> {
    let (full, file) = (statvfs(path)?, fs::metadata(path)?);
    Ok(DiskFacts {
        free_bytes: full.f_bavail.saturating_mul(full.f_frsize),
        total_bytes: full.f_blocks.saturating_mul(full.f_frsize),
        is_read_only: full.f_flag.contains(StatVfsMountFlags::RDONLY),
        device: file.dev(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::{LazyLock, Mutex as StdMutex};

    use super::*;

    #[track_caller]
    fn until(disks: &Disks, now: Instant, wanted: impl Fn(&DiskSight) -> bool) -> DiskSight {
        let begun = std::time::Instant::now();
        loop {
            let sight = disks.poll(now).remove(0);
            if wanted(&sight) {
                return sight;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{sight:?}");
            thread::yield_now();
        }
    }

    #[test]
    fn only_an_existing_directory_has_a_disk() {
        let now = Instant::now();
        let dir = tempfile::tempdir().unwrap();
        let disks = Disks::below([dir.path().to_owned()]);
        let facts = until(&disks, now, |sight| sight.facts.is_some())
            .facts
            .unwrap();
        assert!(facts.total_bytes >= facts.free_bytes && facts.total_bytes > 0);
        let nothing = Disks::below([dir.path().join("nothing")]);
        nothing.poll(now);
        let later = now + ASKED_EVERY;
        let asked = until(&nothing, later, |_| !nothing.0[0].state.lock().is_under_way);
        assert_eq!((asked.facts, asked.failure), (None, None));
    }

    #[test]
    fn a_missing_directory_fails_until_it_is_back() {
        let begun = Instant::now();
        let at = |n: u32| begun + ASKED_EVERY * n;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        let disks = Disks::below([path.clone()]);
        until(&disks, at(0), |sight| sight.facts.is_some());
        fs::remove_dir(&path).unwrap();
        let failed = |sight: &DiskSight| sight.failure.is_some();
        until(&disks, at(1), failed);
        let failure = until(&disks, at(3), failed).failure.unwrap();
        assert_eq!(failure.lasts_seconds, 60);
        assert!(failure.cause.contains("No such file"), "{failure:?}");
        fs::create_dir(&path).unwrap();
        // The question of before may find it gone.
        until(&disks, at(5), |_| !disks.0[0].state.lock().is_under_way);
        let back = until(&disks, at(6), |sight| sight.facts.is_some());
        assert_eq!(back.failure, None);
    }

    fn fails(_: &Path) -> io::Result<DiskFacts> {
        Err(rustix::io::Errno::IO.into())
    }

    #[test]
    fn a_disk_that_never_answered_but_by_errors_is_a_failure() {
        let now = Instant::now();
        let disks = Disks::asked_by([PathBuf::from("p")], fails);
        let sight = until(&disks, now, |sight| sight.failure.is_some());
        assert_eq!((sight.facts, sight.silent_seconds), (None, 0));
    }

    static GATE: LazyLock<(mpsc::SyncSender<()>, StdMutex<mpsc::Receiver<()>>)> =
        LazyLock::new(|| {
            let (open, gate) = mpsc::sync_channel(10);
            (open, StdMutex::new(gate))
        });
    static ASKED: Mutex<u32> = Mutex::new(0);

    fn hangs(_: &Path) -> io::Result<DiskFacts> {
        *ASKED.lock() += 1;
        let _ = GATE.1.lock().unwrap().recv();
        Ok(DiskFacts {
            free_bytes: 1,
            total_bytes: 2,
            is_read_only: false,
            device: 0,
        })
    }

    #[test]
    fn a_disk_that_hangs_is_asked_once_and_holds_up_nobody() {
        let begun = Instant::now();
        let disks = Disks::asked_by([PathBuf::from("p")], hangs);
        for s in [0, 30, 60, 120] {
            let sight = disks.poll(begun + Duration::from_secs(s)).remove(0);
            assert_eq!((sight.silent_seconds, sight.facts), (s, None));
        }
        GATE.0.send(()).unwrap();
        let answered = until(&disks, begun + Duration::from_secs(120), |sight| {
            sight.facts.is_some()
        });
        // Once the answer is there the next poll asks again, as it is old.
        assert_eq!(answered.silent_seconds, 0);
        assert_eq!(answered.facts.unwrap().total_bytes, 2);
        assert!(*ASKED.lock() <= 2);
        GATE.0.send(()).unwrap();
    }
}
