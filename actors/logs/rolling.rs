//! One log file, rolled by day and by size, that several processes may write at once.
//!
//! A line is one `write` to a file opened for appending, and nothing is kept in memory: no line is
//! mixed with another process's, and none is lost at exit, abort or `kill -9`. A disk that is getting
//! full may take part of a line; the next line, whichever process writes it, starts on a line of its own.
//! Each writer holds its file locked shared while it is open, checks before each line whether the
//! path still leads to that file, and moves on when it does not; so a file that another process
//! rolled away is packed or deleted only when nobody can write to it any more.
//!
//! A file that cannot be written (full disk, missing rights) never stops anyone: lines are
//! counted, and the number is the first line when it works again.

use std::borrow::Cow;
use std::fs;
use std::io;

use chrono::{DateTime, Local, NaiveDate, TimeDelta};
use parking_lot::Mutex;

use super::names::Names;
use super::open_file::OpenFile;
use super::{Limits, lock};

/// How long a file that could not be written is left alone.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(10);

/// Where a log is written, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(super) names: Names,
    pub(super) limits: Limits,
}

/// A rolling log file, shared by the threads of this process.
#[derive(Debug)]
pub(crate) struct RollingFile {
    state: Mutex<State>,
    /// Makes a whole line of this file's format out of a warning about the file itself.
    notice: fn(DateTime<Local>, &str) -> String,
    /// Called when there may be something to pack or to delete; must not block.
    rolled: fn(&Spec, NaiveDate),
    /// Called with what a person must know of the file and the file cannot say.
    complain: fn(DateTime<Local>, &str),
}

/// Whether a line opened the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Now,
    No,
}

#[derive(Debug)]
struct State {
    spec: Spec,
    open: Option<OpenFile>,
    outage: Option<Outage>,
    /// When rolling last failed.
    stuck: Option<DateTime<Local>>,
    /// What is to be complained of once the state is unlocked.
    complaint: Option<String>,
}

#[derive(Debug)]
struct Outage {
    tried: DateTime<Local>,
    dropped: u64,
    error: String,
}

impl RollingFile {
    pub(super) fn new(
        spec: Spec,
        notice: fn(DateTime<Local>, &str) -> String,
        rolled: fn(&Spec, NaiveDate),
        complain: fn(DateTime<Local>, &str),
    ) -> Self {
        Self {
            state: Mutex::new(State::new(spec)),
            notice,
            rolled,
            complain,
        }
    }

    /// Writes `line`, which ends with a line break, into the file of `now`.
    pub(super) fn write(&self, now: DateTime<Local>, line: &str) -> Opened {
        let mut state = self.state.lock();
        let was_open = state.open.is_some();
        if let Some(outage) = &mut state.outage
            && is_fresh(outage.tried, now)
        {
            outage.dropped += 1;
            return Opened::No;
        }
        let result = self.append(&mut state, now, line);
        match result {
            Ok(()) => state.outage = None,
            Err(error) => state.fail(now, &error),
        }
        let opened = match state.open.is_some() && !was_open {
            true => Opened::Now,
            false => Opened::No,
        };
        let complaint = state.complaint.take();
        drop(state);
        if let Some(text) = complaint {
            (self.complain)(now, &text);
        }
        opened
    }

    /// Goes on elsewhere: with the next line, `spec` is what counts.
    pub(super) fn configure(&self, spec: Spec) {
        let mut state = self.state.lock();
        if state.spec != spec {
            *state = State::new(spec);
        }
    }

    /// Closes the file until the next line; false where a line is being written just now.
    pub(super) fn try_close(&self) -> bool {
        let Some(mut state) = self.state.try_lock() else {
            return false;
        };
        state.open = None;
        true
    }

    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
    }

    /// Lets go of a file of an earlier day that nothing was written to since, so it can be packed.
    pub(super) fn release_before(&self, today: NaiveDate) {
        let mut state = self.state.lock();
        if state.open.as_ref().is_some_and(|open| open.day < today) {
            state.open = None;
        }
    }

    fn append(&self, state: &mut State, now: DateTime<Local>, line: &str) -> io::Result<()> {
        let day = now.date_naive();
        if state.open.as_ref().is_some_and(|open| open.day != day) {
            state.open = None;
            (self.rolled)(&state.spec, day);
        }
        // Moved on by another process, deleted by a person: then this file is not ours any more.
        let mut open = match state.open.take().and_then(OpenFile::refreshed) {
            Some(open) => open,
            None => OpenFile::at(state.spec.names.active(day), day)?,
        };
        if state.spec.limits.are_exceeded(open.size, line) && !state.is_stuck(now) {
            open = self.roll(state, open, now)?;
        }
        let text = match state.preamble(&open, now, self.notice) {
            None => Cow::Borrowed(line),
            Some(before) => Cow::Owned(before + line),
        };
        open.append(&text)?;
        state.open = Some(open);
        Ok(())
    }

    /// Moves the full file out of the way. A file that cannot be moved just now grows on.
    fn roll(
        &self,
        state: &mut State,
        open: OpenFile,
        now: DateTime<Local>,
    ) -> io::Result<OpenFile> {
        let (path, day) = (open.path.clone(), open.day);
        match move_away(&state.spec.names, &open) {
            Ok(Moved::Yes) => {}
            Ok(Moved::Busy) => return Ok(open),
            Err(error) => {
                if state.stuck.is_none() {
                    let path = path.display();
                    state.complaint = Some(format!(
                        "log file `{path}` is full and cannot be rolled, it grows on: {error}"
                    ));
                }
                state.stuck = Some(now);
                return Ok(open);
            }
        }
        state.stuck = None;
        // Let go first: the keeper may check it at once.
        drop(open);
        let fresh = OpenFile::at(path, day)?;
        (self.rolled)(&state.spec, day);
        Ok(fresh)
    }
}

/// What became of a full file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    /// Another process is renaming files of this log at this moment.
    Busy,
}

pub(super) fn move_away(names: &Names, full: &OpenFile) -> io::Result<Moved> {
    let Some(_gate) = lock::gate(&names.gate())? else {
        return Ok(Moved::Busy);
    };
    // Another process may have rolled it between our check and our lock.
    if full.is_current()? {
        fs::rename(&full.path, names.next_rolled(full.day)?)?;
    }
    Ok(Moved::Yes)
}

/// Whether something failed too recently for another try. A clock that was set back tries at once.
fn is_fresh(tried: DateTime<Local>, now: DateTime<Local>) -> bool {
    (TimeDelta::zero()..RETRY_AFTER).contains(&(now - tried))
}

impl State {
    fn new(spec: Spec) -> Self {
        Self {
            spec,
            open: None,
            outage: None,
            stuck: None,
            complaint: None,
        }
    }

    fn is_stuck(&self, now: DateTime<Local>) -> bool {
        self.stuck.is_some_and(|tried| is_fresh(tried, now))
    }

    /// What must come before the next line: the end of a torn one, and how many are missing.
    fn preamble(
        &self,
        open: &OpenFile,
        now: DateTime<Local>,
        notice: fn(DateTime<Local>, &str) -> String,
    ) -> Option<String> {
        let missing = self.outage.as_ref().map(|outage| {
            let (lines, error) = (outage.dropped, &outage.error);
            notice(now, &format!("lines dropped here: {lines}; {error}"))
        });
        match (open.is_torn(), missing) {
            (false, missing) => missing,
            (true, missing) => Some(format!("\n{}", missing.unwrap_or_default())),
        }
    }

    fn fail(&mut self, now: DateTime<Local>, error: &io::Error) {
        self.open = None;
        let dropped = self.outage.as_ref().map_or(0, |outage| outage.dropped) + 1;
        if dropped == 1 {
            let path = self.spec.names.active(now.date_naive());
            let seconds = RETRY_AFTER.num_seconds();
            let text = format!(
                "log file `{}` cannot be written: {error}; tried again every {seconds} s, its lines are dropped until then",
                path.display()
            );
            self.complaint = Some(text);
        }
        self.outage = Some(Outage {
            tried: now,
            dropped,
            error: error.to_string(),
        });
    }
}

#[cfg(test)]
mod tests;
