//! What goes into the tables and comes out of them.

use std::sync::Arc;

use bytes::Bytes;

use super::columns::{RUNNING, WAITING};
pub(crate) use super::cron_run::{
    AtOverlap, Claim, EndedRun, EntryRuns, Fire, GivenUp, KnownEntry, OpenRun, RunEnd,
};
pub(crate) use super::dead_letter::{
    DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterOrder, DeadLetterScan, Origin, Replay,
    ReplayTo, SCANNED_LETTERS, Side,
};
use super::made_dead_letters::{of_queue, of_task};
use crate::backoff::Backoff;
use crate::clock::millis;
use crate::job::Disposition;
use crate::trace::Trace;

/// A start of the daemon, as other daemons see it.
#[derive(Debug, Clone)]
pub(crate) struct BootRow {
    pub(crate) owner: String,
    pub(crate) partition: String,
    pub(crate) host: String,
    pub(crate) pid: i32,
    /// How often its heartbeat comes, in milliseconds; three missed ones mean death.
    pub(crate) interval_ms: i64,
    /// Of simplest_script.
    pub(crate) version: &'static str,
}

/// A delayed task to be inserted.
#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    /// Unix milliseconds.
    pub(crate) due_ms: i64,
    /// Inserted already claimed by its inserter, with the fence `FIRST_FENCE`.
    pub(crate) claimed: bool,
    /// Of the handler that pushed it.
    pub(crate) trace: Option<Trace>,
}

impl NewTask {
    /// How its row begins: the status, the owner and the fence. `owner` has it where it is inserted already claimed.
    pub(in crate::store) fn beginning<'a>(&self, owner: &'a str) -> (i16, &'a str, i64) {
        match self.claimed {
            true => (RUNNING, owner, FIRST_FENCE),
            false => (WAITING, "", 0),
        }
    }
}

/// The fence of a row that is inserted already claimed.
pub(crate) const FIRST_FENCE: i64 = 1;

/// A delayed task that is ours to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedTask {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    pub(crate) due_ms: i64,
    /// Attempts that failed or ended a process, before this one.
    pub(crate) attempts: u32,
    /// Raised by each claim: names this one.
    pub(crate) fence: i64,
    /// The last attempt ended its process: it runs alone.
    pub(crate) suspect: bool,
    /// Of the handler that pushed it.
    pub(crate) trace: Option<Trace>,
}

/// What a claim took.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClaimedTasks {
    pub(crate) tasks: Vec<ClaimedTask>,
    /// Dead letters of rows that cannot be read: the entry as people call it, and the error.
    pub(crate) dead_letters: Vec<(String, String)>,
}

/// When a row is due, in unix milliseconds. Ours are due to the millisecond, as long as `due_ms` lies in the second
/// that `exec_time` names; a program that changed `exec_time` means what it wrote. Rows of others are due at the start
/// of their second.
pub(crate) fn due_ms(exec_time: i64, due_ms: Option<i64>) -> i64 {
    due_ms
        .filter(|due| due.div_euclid(1000) == exec_time)
        .unwrap_or_else(|| exec_time.saturating_mul(1000))
}

/// How a delayed task ended. Its row gets status 3 when it is complete, 4 as a dead letter, and is back at status 1 for a
/// retry and when it is released.
#[derive(Debug, Clone)]
pub(crate) struct TaskEnd {
    pub(crate) id: i64,
    pub(crate) fence: i64,
    /// For people: the row has it too.
    pub(crate) exec_cmd: String,
    /// A retry is due at this time, unix milliseconds.
    pub(crate) disposition: Disposition<i64>,
    /// What the row shows of the handler's result or error. A release leaves what the row has.
    pub(crate) result: String,
}

impl TaskEnd {
    /// Of a task that has not run, or whose run was cut short by a stop.
    pub(crate) fn released(task: &ClaimedTask) -> Self {
        Self {
            id: task.id,
            fence: task.fence,
            exec_cmd: task.exec_cmd.clone(),
            disposition: Disposition::Release,
            result: String::new(),
        }
    }
}

/// A message to be inserted into a `table` queue.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) payload: Bytes,
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
}

/// A message of a `table` queue that is ours to run.
#[derive(Debug, Clone)]
pub(crate) struct ClaimedMessage {
    pub(crate) id: i64,
    pub(crate) payload: Bytes,
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) attempts: u32,
    pub(crate) fence: i64,
    /// Since when it may be claimed, unix milliseconds of the database's clock.
    pub(crate) due_ms: i64,
    /// An attempt ended its process: it runs alone.
    pub(crate) suspect: bool,
    /// Of a replayed dead letter that came from elsewhere.
    pub(crate) origin: Option<Origin>,
}

/// How a message of a `table` queue ended. Its row is deleted when it is complete and as a dead letter; it waits again for
/// a retry, whose delay counts from the write, and when it is released.
#[derive(Debug, Clone)]
pub(crate) struct MessageEnd {
    pub(crate) id: i64,
    pub(crate) fence: i64,
    /// The one that its dead letter came through.
    pub(crate) entry: Arc<EntryName>,
    pub(crate) disposition: Disposition,
}

/// The queue entry a dead letter came through.
#[derive(Debug, Clone)]
pub(crate) struct EntryName {
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
}

/// A crash to record: a handler ended its process while it ran this message or task.
#[derive(Debug, Clone)]
pub(crate) struct Crash {
    pub(crate) victim: Victim,
    /// How the process ended, for people.
    pub(crate) how: String,
    /// Whether nothing else can have done it. Of a batch each message may have: it runs alone from now on, and no
    /// attempt is counted for what its neighbour did.
    pub(crate) certain: bool,
    /// From this many attempts on it is a dead letter.
    pub(crate) max_attempts: u32,
    /// Until it may run again.
    pub(crate) backoff: Backoff,
}

impl Crash {
    /// The entry and the error of its dead letter, for people.
    pub(in crate::store) fn dead_letter(&self) -> (String, String) {
        let entry = match &self.victim {
            Victim::Message { entry, .. } => of_queue(&entry.name),
            Victim::Task { exec_cmd, .. } => of_task(exec_cmd),
            Victim::Outside(id) => format!("{} queue `{}`", id.kind, id.source),
        };
        (entry, self.how.clone())
    }

    /// Milliseconds until it may run again, after this many attempts. No jitter: crashes come one at a time.
    pub(crate) fn after_ms(&self, attempts: u32) -> i64 {
        millis(self.backoff.delay(attempts, 0.5))
    }
}

/// What was running when the process ended.
#[derive(Debug, Clone)]
pub(crate) enum Victim {
    /// A row of `queue_message`.
    Message { id: i64, entry: EntryName },
    /// A row of `delay_queue_log`.
    Task { id: i64, exec_cmd: String },
    /// A message that lives outside the database.
    Outside(OutsideId),
}

/// Names a message that lives outside the database, as its slot does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OutsideId {
    /// `kafka` or `redis`, as in the dead letters.
    pub(crate) kind: &'static str,
    /// The queue it belongs to, as in the slot, at most 255 bytes.
    pub(crate) source: String,
    /// At most 255 bytes.
    pub(crate) id: String,
}

/// A message that lives outside the database and whose source counts no attempts: it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedAttempt {
    pub(crate) message: OutsideId,
    /// Which attempt it was, 1 for the first.
    pub(crate) attempt: u32,
    /// Milliseconds until it may run again.
    pub(crate) wait_ms: i64,
}

/// What is known of a message that lives outside the database: its recorded crashes, and its failed attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutsideDeath {
    pub(crate) id: String,
    /// Attempts that failed, and deaths that nothing else can have caused. 0: one of a batch may have been it.
    pub(crate) attempts: u32,
    /// Whether it ended a process, or a message of its batch did.
    pub(crate) suspect: bool,
    /// Milliseconds until it may run again.
    pub(crate) wait_ms: i64,
}

/// What was released when dead boots were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) boots: Vec<String>,
    pub(crate) messages: usize,
    pub(crate) tasks: usize,
    pub(crate) crashes: usize,
    /// Dead letters that were made: the entry as people call it, and the error.
    pub(crate) dead_letters: Vec<(String, String)>,
}

/// A heartbeat that is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) beat: Beat,
    /// When, by the clock that heartbeats are written by, in unix milliseconds.
    pub(crate) at_ms: i64,
}

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// The boot is known to be alive.
    Alive,
    /// Another daemon had judged it dead and has taken over its rows; it is alive again from here.
    WasDead,
    /// The boot had no row, and has one now: it has just begun, or its row was deleted some time after it was judged
    /// dead.
    Unknown,
}

/// A dead letter of a message that lives outside the daemon's database, to be inserted.
#[derive(Debug, Clone)]
pub(crate) struct NewDeadLetter {
    /// `redis` or `kafka`.
    pub(crate) kind: &'static str,
    /// The list or the topic.
    pub(crate) source: String,
    pub(crate) entry: EntryName,
    pub(crate) original_id: String,
    pub(crate) payload: Bytes,
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) error: String,
    pub(crate) attempts: u32,
    /// The partition of the daemon that gave it up.
    pub(crate) partition: String,
    /// When it was first seen, unix milliseconds.
    pub(crate) first_ms: i64,
}

/// A daemon that lives, as far as the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AliveBoot {
    pub(crate) owner: String,
    pub(crate) host: String,
    pub(crate) pid: i32,
    /// Unix milliseconds of the database's clock.
    pub(crate) started_ms: i64,
    /// How long ago its last heartbeat came, in milliseconds.
    pub(crate) silent_ms: i64,
    /// None: a daemon of a version that did not write it.
    pub(crate) version: Option<String>,
}

/// The most names of queues that are listed: more than these no operator reads.
pub(crate) const MOST_QUEUES: usize = 1000;
/// Rows of a table are counted up to this number: counting all of millions takes seconds.
pub(crate) const COUNT_CAP: u64 = 100_000;

/// What is found in the daemon's own database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// Of the database program.
    pub(crate) version: String,
    /// Whether there is a database; the first start makes a SQLite file that is not there.
    pub(crate) exists: bool,
    /// Of the file and what belongs to it, where it is a file.
    pub(crate) size_bytes: Option<u64>,
    /// Migrations that the next start will do.
    pub(crate) pending: Vec<String>,
    /// What those need and we do not have, for people.
    pub(crate) missing_rights: Vec<String>,
    /// The tables and their rows, counted up to [`COUNT_CAP`].
    pub(crate) tables: Vec<(String, u64)>,
}

/// What waits in the delay queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DelayCounts {
    /// Tasks that wait for their time, counted up to one more than [`COUNT_CAP`].
    pub(crate) waiting: u64,
    /// When the first of them is due, unix milliseconds.
    pub(crate) oldest_due_ms: Option<i64>,
}

/// Pauses or resumes something for all daemons of an environment.
#[derive(Debug, Clone)]
pub(crate) struct PauseOrder {
    pub(crate) environment: String,
    /// As `pause.kind` has it.
    pub(crate) kind: &'static str,
    /// Empty where the kind alone identifies it.
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) ordered_by: String,
    /// What the order is about, for people.
    pub(crate) target: String,
}

/// What becomes of the row of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseChange {
    /// It is inserted.
    First,
    /// It holds again.
    Again,
    /// It ends.
    End,
}

impl PauseOrder {
    /// What it changes: `pause` is the row of what it is about, as its `until_ms`; none where there is no row yet.
    pub(crate) fn change(&self, pause: Option<Option<i64>>) -> Option<PauseChange> {
        match (self.paused, pause) {
            (true, None) => Some(PauseChange::First),
            (true, Some(Some(_))) => Some(PauseChange::Again),
            (false, Some(None)) => Some(PauseChange::End),
            (true, Some(None)) | (false, None | Some(Some(_))) => None,
        }
    }

    /// As `audit.action` has it.
    pub(crate) fn action(&self) -> &'static str {
        match self.paused {
            true => "pause",
            false => "resume",
        }
    }
}

/// An order that is given to one daemon and not by a row, to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) environment: String,
    pub(crate) ordered_by: String,
    pub(crate) action: &'static str,
    pub(crate) target: String,
    /// What came of it.
    pub(crate) result: String,
}

/// A pause, as it stands in the table. Times are unix milliseconds of the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PauseRow {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) since_ms: i64,
    /// When it was resumed; none while it is paused.
    pub(crate) until_ms: Option<i64>,
    pub(crate) ordered_by: String,
}

/// Pauses that ended longer ago than this say nothing any more about fires that are made late, in milliseconds.
pub(crate) const ENDED_PAUSES_MS: i64 = 24 * 3600 * 1000;
