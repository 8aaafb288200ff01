//! What a run's file shows to a daemon: how far the run came, and whether it still lives.
//!
//! **Whether it lives** is judged so:
//!
//! 1. A run of another machine, kernel boot or pid namespace cannot be judged from here.
//! 2. The lock is free: it does not live. (It holds the lock from before its first line to after
//!    its last; a process that ends loses it, whatever the signal.)
//! 3. The lock is held, but the process of the first line is gone (no such pid, a zombie, another
//!    start time): it does not live. A descendant that was forked without exec has the lock's
//!    descriptor too, and would make a dead run seem alive.
//! 4. Else it lives. Where the start time cannot be read the lock alone is trusted.
//!
//! The lock is queried *before* the file is read, and the file is read again after rule 3:
//! else a run that writes its result and ends in between would seem to have ended without one.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use super::lock;
use super::machine::{Identity, identify};
use super::run_file::{Announcement, Line, RunHead, RunResult};

/// How long an announced process that was handed no lock may take to begin before it is given up.
/// It takes milliseconds; half a minute allows for a machine that is swapping.
const BEGIN_WITHIN_MS: i64 = 30_000;

/// Whether a run lives, as far as its file and its process show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It holds its file locked: it lives.
    Locked,
    /// It does not live: it ended, or has not begun (see [`RunState::may_yet_begin`]).
    Unlocked,
    /// It belongs to another machine or pid namespace: not to be judged from here.
    Elsewhere,
}

/// What is known of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunState {
    /// What the daemon announced; nothing for a run started by hand.
    pub(crate) announcement: Option<Announcement>,
    /// Its process, once it has begun.
    pub(crate) head: Option<RunHead>,
    /// How it went, once it has ended by itself.
    pub(crate) result: Option<RunResult>,
    /// Whether it lives.
    pub(crate) alive: Liveness,
}

impl RunState {
    /// Whether it was announced so lately that its process, which was handed no lock, may still be on its way.
    pub(crate) fn may_yet_begin(&self, now_ms: i64) -> bool {
        let unhanded = self.announcement.as_ref().filter(|fire| !fire.handed);
        self.head.is_none() && unhanded.is_some_and(|fire| now_ms < fire.fired_ms + BEGIN_WITHIN_MS)
    }

    /// Whether its daemon died before it had started a process: that would hold the lock from its first moment on.
    pub(crate) fn never_started(&self) -> bool {
        let handed = self.announcement.as_ref().is_none_or(|fire| fire.handed);
        self.alive == Liveness::Unlocked && self.head.is_none() && handed
    }
}

/// What the lines of a file say.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) announcement: Option<Announcement>,
    pub(super) head: Option<RunHead>,
    pub(super) result: Option<RunResult>,
}

/// Reads a run's file and judges whether the run lives, without disturbing it.
pub(crate) fn inspect(path: &Path) -> io::Result<RunState> {
    let file = File::open(path)?;
    let locked = lock::is_locked(&file)?;
    let mut lines = read_lines(&file)?;
    let alive = judge(&lines, locked);
    if locked && alive == Liveness::Unlocked {
        lines = read_lines(&file)?;
    }
    let Lines {
        announcement,
        head,
        result,
    } = lines;
    Ok(RunState {
        announcement,
        head,
        result,
        alive,
    })
}

/// Reads all lines; those that are torn (a crash, a full disk) or unknown are passed over.
pub(super) fn read_lines(mut file: &File) -> io::Result<Lines> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    let mut lines = Lines::default();
    for line in text.split(|&byte| byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Line::Fired(announcement)) => lines.announcement = Some(announcement),
            Ok(Line::Started(head)) => {
                // Begun again under the same key: what an earlier process left is not its result.
                lines.head = Some(head);
                lines.result = None;
            }
            Ok(Line::Ended(result)) => lines.result = Some(result),
            Err(_) => {}
        }
    }
    Ok(lines)
}

fn judge(lines: &Lines, locked: bool) -> Liveness {
    let head = lines.head.as_ref();
    let announced = lines.announcement.as_ref().map(|fire| &fire.place);
    let place = head.map(|head| &head.place).or(announced);
    if let Some(place) = place.filter(|place| !place.is_here()) {
        // Its file is here and nobody holds it: a power cut or a reboot has ended it.
        return match place.was_here() && !locked {
            true => Liveness::Unlocked,
            false => Liveness::Elsewhere,
        };
    }
    let gone = |head: &RunHead| identify(head.pid, head.start_ticks) == Identity::Gone;
    if locked && !head.is_some_and(gone) {
        Liveness::Locked
    } else {
        Liveness::Unlocked
    }
}
