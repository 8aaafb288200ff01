//! Calls the dead man's switch of an entry at each run's start and end.
//!
//! They are handed over and forgotten: no fire waits for them. The daemon that starts a run pings its start; the daemon
//! that watches the run, or finds its result later, pings its end.

use std::fs;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::process::{ExitStatus, Liveness, RunState, Uk, inspect, list};
use super::{CronConfig, LiveEntry};
use crate::alert::{Output, Ping, PingEvent};
use crate::clock::now_ms;
use crate::store::rows::OpenRun;

/// A run that ended by itself longer ago than this, and whose file is still there, has no daemon that watches it.
const UNATTENDED_MS: i64 = 15_000;

/// How a run ended.
pub(super) struct Ended<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) exit: ExitStatus,
    /// Where its output is, from which byte on.
    pub(super) output: Option<(PathBuf, u64)>,
}

impl<'a> Ended<'a> {
    /// It never had a process.
    pub(super) fn without_process(outcome: &'a Outcome) -> Self {
        Self::seen_from_outside(outcome)
    }

    /// Its process was not a child of this daemon.
    pub(super) fn seen_from_outside(outcome: &'a Outcome) -> Self {
        Self {
            outcome,
            exit: ExitStatus::Unknown,
            output: None,
        }
    }
}

impl CronConfig {
    /// A run has its process.
    pub(super) fn ping_start(&self, entry: &LiveEntry, uk: &Uk) {
        self.ping(entry, uk, PingEvent::Start, String::new(), None);
    }

    /// A run has ended. What `overlap` ends or leaves out is as configured, and so no failure.
    pub(super) fn ping_end(&self, entry: &LiveEntry, uk: &Uk, end: Ended<'_>) {
        let Ended {
            outcome,
            exit,
            output,
        } = end;
        if outcome.is_ordinary() {
            return;
        }
        let event = match (outcome.status, exit) {
            ("success", _) => PingEvent::Success,
            (_, ExitStatus::Exited(status)) if status != 0 => PingEvent::Exit(status),
            _ => PingEvent::Fail,
        };
        let (text, output) = match event {
            PingEvent::Success => (String::new(), None),
            _ => (format!("{}: {}", outcome.status, outcome.result), output),
        };
        self.ping(entry, uk, event, text, output);
    }

    /// As [`Self::ping_end`], by the key of the entry, which may be gone.
    pub(super) fn ping_end_of(&self, key: &str, uk: &Uk, end: Ended<'_>) {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            let newest = || Some((self.output.of(&entry.output).path(), 0));
            let output = end.output.or_else(newest);
            self.ping_end(entry, uk, Ended { output, ..end });
        }
    }

    fn ping(
        &self,
        entry: &LiveEntry,
        uk: &Uk,
        event: PingEvent,
        text: String,
        output: Option<(PathBuf, u64)>,
    ) {
        let Some(url) = &entry.config.ping else {
            return;
        };
        self.pinger.send(Ping {
            url: url.clone(),
            event,
            of: format!("cron `{}`", entry.config.name),
            run: uuid::Uuid::parse_str(uk.as_str())
                .ok()
                .map(|run| run.hyphenated().to_string()),
            text,
            output: output.map(|(path, from)| Output::since(path, from)),
        });
    }

    fn pings(&self) -> bool {
        self.entries.iter().any(|entry| entry.config.ping.is_some())
    }
}

/// Pings the ends of runs that ended while no daemon watched them. Such a run has written its end itself, so nothing
/// but its file is left of it; the daemon that removes the file pings.
pub(super) async fn ping_unattended(config: &CronConfig, open: &[OpenRun]) {
    if !config.pings() {
        return;
    }
    let (runs, watched) = (config.runs.clone(), config.watched.clone());
    let open: Vec<String> = open.iter().map(|run| run.uk.clone()).collect();
    let keys: Vec<String> = config
        .entries
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    let found = actix_rt::task::spawn_blocking(move || {
        let files = list(&runs).unwrap_or_default();
        let of_nobody = files.into_iter().filter_map(|path| {
            let uk: Uk = path.file_stem()?.to_str()?.parse().ok()?;
            let is_known =
                open.iter().any(|open| open == uk.as_str()) || watched.contains(uk.as_str());
            let (entry, outcome) = (!is_known).then(|| unattended(&path, &keys))??;
            Some((uk, path, entry, outcome))
        });
        of_nobody.collect::<Vec<_>>()
    });
    let found = found.await.unwrap_or_default();
    if found.is_empty() {
        return;
    }
    // A run that another daemon has started since the open runs were read, and whose end it has not written yet, is that
    // daemon's to report.
    let Ok(open) = config.db.reader().open_runs(&config.partition).await else {
        return;
    };
    for (uk, path, entry, outcome) in found {
        if open.iter().any(|run| run.uk == uk.as_str()) {
            continue;
        }
        // Of two daemons that find it one removes it, and the other one gets an error.
        let removed = actix_rt::task::spawn_blocking(move || fs::remove_file(path));
        if matches!(removed.await, Ok(Ok(()))) {
            config.ping_end_of(&entry, &uk, Ended::seen_from_outside(&outcome));
        }
    }
}

/// The entry of a run that ended by itself a while ago, and how.
fn unattended(path: &Path, keys: &[String]) -> Option<(String, Outcome)> {
    let RunState {
        announcement,
        result,
        alive,
        ..
    } = inspect(path).ok()?;
    let (announcement, result) = (announcement?, result?);
    let is_over = alive == Liveness::Unlocked && result.ended_ms < now_ms() - UNATTENDED_MS;
    let is_ours = keys.contains(&announcement.entry);
    (is_over && is_ours).then(|| (announcement.entry, Outcome::reported(&result)))
}
