//! Everything that may be written, and what each write answers.

use super::daemon_orders::{NewOrder, OrderEnd};
use super::idempotency::{KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert};
use super::permits::{Granted, PermitAsk};
use super::rows::{
    AtOverlap, AuditRow, BootRow, Charge, Claim, ClaimedMessage, ClaimedTasks, DeadLetterOrder,
    FailedAttempt, Fire, KnownEntry, MessageEnd, NewDeadLetter, NewMessage, NewTask, OutsideId,
    PauseOrder, Reaped, Replay, RunEnd, TaskEnd,
};
use super::task_orders::{TaskOrder, TaskOrdered};
use super::warnings::{CountAdd, CountNotice, Counted, NoticeClaim};

/// Old rows are deleted in portions of this many, so that no transaction is long.
pub(crate) const TRIM_ROWS: usize = 500;

/// What `Write::inserts_into` may answer.
pub(crate) const INSERTED_INTO: [&str; 4] = [
    "delay_queue_log",
    "queue_message",
    "dead_letter",
    "warning_window",
];

/// How many rows or messages a claim takes. What does not fit stays as it is, for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) count: u32,
    /// Of all that they hold. The first one is taken whatever its size.
    pub(crate) bytes: u32,
}

impl Most {
    /// Of the bytes of rows in their order: how many rows fit.
    pub(crate) fn fitting(self, bytes: impl Iterator<Item = i64>) -> usize {
        let mut through = 0_i64;
        let fits = bytes.take_while(|bytes| {
            let is_first = through == 0;
            through = through.saturating_add(*bytes);
            is_first || through <= i64::from(self.bytes)
        });
        fits.count()
    }
}

/// One write. A batch of them is one transaction; a failing one fails alone.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// Makes this boot known. Answers `Nothing`.
    BeginBoot(BootRow),
    /// Gives back all that a boot still owns and marks it ended. Answers `Reaped`.
    EndBoot { owner: String },
    /// Takes over from boots whose last heartbeat is three intervals older than this moment, which is that of a
    /// heartbeat of our own: what was late for the same reason as ours is not judged, however late this is written.
    /// Answers `Reaped`.
    ReapSilent { me: String, as_of_ms: i64 },
    /// Takes over from one boot whose process is known to be gone, and charges what ended it. Answers
    /// `Reaped`, without any boot where this database does not know it.
    ReapGone { owner: String, charges: Vec<Charge> },

    /// Delayed tasks, durable when answered with `Ids`. The owner is that of the rows that are `claimed`.
    InsertTasks { rows: Vec<NewTask>, owner: String },
    /// Gives back the owner's tasks but for these claims (row and fence). Answers `Count`.
    GiveBackTasks {
        owner: String,
        keep: Vec<(i64, i64)>,
    },
    /// Claims waiting tasks due by then, oldest first. Answers `Tasks`.
    ClaimTasks {
        owner: String,
        from_s: Option<i64>,
        until_s: i64,
        most: Most,
    },
    /// Ends of tasks; those of a stale owner change nothing. Answers `Settlement`.
    EndTasks { owner: String, ends: Vec<TaskEnd> },

    /// Deletes at most `TRIM_ROWS` finished tasks whose time was before that, in unix seconds. Answers `Count`; fewer:
    /// none is left.
    TrimTasks { before_s: i64 },

    /// Messages for a `table` queue. Answers `Ids`.
    InsertMessages {
        queue: String,
        rows: Vec<NewMessage>,
    },
    /// Claims waiting messages, oldest first. Answers `Messages`.
    ClaimMessages {
        queue: String,
        owner: String,
        most: Most,
    },
    /// Makes at most `TRIM_ROWS` waiting messages of one queue due now whose time lies further ahead than a retry sets
    /// it, which is `longest_ms` at most; a message that never failed is due when it is sent. Answers `Count`.
    HastenMessages { queue: String, longest_ms: i64 },
    /// Makes those of the waiting tasks due now that have failed before and are due later than that, in unix seconds.
    /// Answers `Count`.
    HastenTasks { ids: Vec<i64>, after_s: i64 },
    /// Gives back the owner's messages of one queue but for these claims (row and fence). Answers `Count`.
    GiveBackMessages {
        queue: String,
        owner: String,
        keep: Vec<(i64, i64)>,
    },
    /// Ends of messages; those of a stale owner change nothing. Answers `Settlement`.
    EndMessages {
        owner: String,
        ends: Vec<MessageEnd>,
    },

    /// Dead letters of messages that live elsewhere. Answers `Nothing`.
    InsertDeadLetters { dead_letters: Vec<NewDeadLetter> },
    /// Runs dead letters again: each of them goes and its row comes, or neither. Answers `Replayed`.
    ReplayDeadLetters {
        dead_letters: Vec<Replay>,
        order: Option<Box<DeadLetterOrder>>,
    },
    /// Deletes dead letters. Answers `Deleted`.
    DeleteDeadLetters {
        ids: Vec<i64>,
        order: Option<Box<DeadLetterOrder>>,
    },
    /// Attempts of messages that live elsewhere, which failed. May be repeated: the highest attempt of a message
    /// counts. Answers `Nothing`.
    NoteFailures { failures: Vec<FailedAttempt> },
    /// Messages that live elsewhere and were charged with deaths or failed are finished. Answers `Count`.
    ForgetDeaths { ids: Vec<OutsideId> },

    /// Marks which cron entries are live, all others of the partition as not. Answers `Since`.
    SyncEntries {
        partition: String,
        entries: Vec<KnownEntry>,
    },
    /// Claims one entry's scheduled second. Answers `Claimed`.
    ClaimFire(Box<Fire>),
    /// Takes over a fire that its daemon claimed and did not start; what `at_overlap` asks for is asked again. Answers
    /// `Claimed`.
    TakeFire {
        uk: String,
        from: String,
        owner: String,
        at_overlap: AtOverlap,
    },
    /// The run's process exists. Answers `Nothing`.
    RunStarted {
        uk: String,
        pid: i32,
        /// When it started, by the operating system: the pid may become another's.
        start_ticks: Option<i64>,
    },
    /// The run's end; only the first one counts. Answers `Ended`.
    EndRun(RunEnd),
    /// Of the oldest `TRIM_ROWS` rows of `crontab_log` with a higher id deletes those that started before that, in unix
    /// milliseconds, and do not run any more. Answers `Trimmed`.
    TrimCrontabLog { before_ms: i64, after_id: i64 },
    /// Of the oldest `TRIM_ROWS` dead letters with a higher id deletes those that died before that, in unix
    /// milliseconds. Answers `Trimmed`.
    TrimDeadLetters { before_ms: i64, after_id: i64 },
    /// Deletes at most `TRIM_ROWS` orders in `audit` that were given before that, in unix milliseconds. Answers
    /// `Count`; fewer: none is left.
    TrimAudit { before_ms: i64 },
    /// Deletes at most `TRIM_ROWS` old, ended `cron_run` rows. Answers `Count`; fewer: none is left.
    TrimRuns { before_ms: i64 },

    /// Counts of a warning, in all of its windows or in none. Answers `Counted`.
    AddCount(Box<CountAdd>),
    /// This boot has a receiver for the notices of that environment. Answers `Nothing`.
    SendNotices { owner: String, environment: String },
    /// Claims notices, the oldest first. Answers `Notices`: those of this boot that it does not keep.
    ClaimNotices(Box<NoticeClaim>),
    /// The receivers have these notices. Answers `Ids`: those that are the owner's still, locked or refused.
    EndNotices { owner: String, ids: Vec<i64> },
    /// Deletes at most `TRIM_ROWS` windows that ended a day and more than their period ago. Answers `Count`; fewer:
    /// none is left.
    TrimWindows,
    /// Deletes at most `TRIM_ROWS` notices that nobody has claimed for a day, and forgets senders that are gone.
    /// Answers `Count`: of the notices.
    TrimNotices,
    /// Pauses or resumes something, and writes that down. Answers `Count`: 1, or 0 where it was so already.
    SetPause(Box<PauseOrder>),
    /// Cancels a delayed task, or sets when it is due, and writes that down. Answers `Ordered`.
    OrderTask(Box<TaskOrder>),
    /// Writes down an order that was given to this daemon alone. Answers `Count`.
    Audit(Box<AuditRow>),
    /// Orders that daemons carry out. Answers `Count`.
    GiveOrders(Vec<NewOrder>),
    /// Takes an order from its owner, which is nobody or a daemon that is dead, and marks the run that it ends. Answers
    /// `Count`: 1, or 0 where another daemon was quicker.
    TakeOrder {
        id: i64,
        from: String,
        owner: String,
    },
    /// Ends an order, and writes down what came of it. Answers `Count`: 1, or 0 where it is another's or has ended.
    EndOrder(OrderEnd),
    /// Deletes at most `TRIM_ROWS` orders that ended before that. Answers `Count`; fewer: none is left.
    TrimOrders { before_ms: i64 },

    /// Rows of which some have idempotency keys: those that an earlier insert made are not made again. Answers `Keyed`.
    InsertKeyed(Box<KeyedInsert>),
    /// Claims the key of a message that cannot be in a transaction of ours. Answers `KeyClaimed`.
    ClaimKey(Box<KeyClaim>),
    /// What became of that message; the end of a stale owner changes nothing. Answers `Count`.
    EndKey {
        key: String,
        owner: String,
        end: KeyEnd,
    },
    /// Deletes at most `TRIM_ROWS` keys that were used first before that. Answers `Count`; fewer: none is left.
    TrimKeys { before_ms: i64 },

    /// Permits of a limit that all daemons share. Answers `Granted`.
    TakePermits(Box<PermitAsk>),
}

impl Write {
    /// It gives back rows of a boot that lives on, or of this one at its end: the ends before it must have happened by
    /// then, or they would be stale, and what is claimed later must not have, or it would be given back.
    pub(crate) fn keeps_its_place(&self) -> bool {
        matches!(
            self,
            Self::GiveBackTasks { .. } | Self::GiveBackMessages { .. } | Self::EndBoot { .. }
        )
    }

    /// Its caller has to act at a certain moment: make a fire. None of these depends on a write
    /// that is not urgent, so it may go before those, and beside them. What becomes of a run is among them: what
    /// `overlap` makes of a fire depends on the ends before it, and the start of a run locks the rows that its end
    /// needs.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(
            self,
            Self::ClaimFire(_)
                | Self::TakeFire { .. }
                | Self::SyncEntries { .. }
                | Self::RunStarted { .. }
                | Self::EndRun(_)
        )
    }

    /// It claims a fire. Only such are in one transaction with it: claims are made in one order, by every daemon.
    pub(crate) fn claims_a_fire(&self) -> bool {
        matches!(self, Self::ClaimFire(_))
    }

    /// It is about warnings: nothing else waits for it, and nothing that is claimed depends on it.
    pub(crate) fn is_of_warnings(&self) -> bool {
        matches!(
            self,
            Self::AddCount(_)
                | Self::SendNotices { .. }
                | Self::ClaimNotices(_)
                | Self::EndNotices { .. }
                | Self::TrimWindows
                | Self::TrimNotices
        )
    }

    /// Nobody waits for it, but for what becomes of it.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self, Self::ClaimFire(fire) if fire.given_up.is_set())
    }

    /// It ends what is claimed.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::EndTasks { .. } | Self::EndMessages { .. })
    }

    /// The table that it only inserts into. What it may wait for then is a lock of the whole table, or of a range.
    pub(crate) fn inserts_into(&self) -> Option<&'static str> {
        match self {
            Self::InsertTasks { .. } => Some(INSERTED_INTO[0]),
            Self::InsertMessages { .. } => Some(INSERTED_INTO[1]),
            Self::InsertDeadLetters { .. } => Some(INSERTED_INTO[2]),
            // It waits for nobody's row: see `warnings::add` in the adapters.
            Self::AddCount(_) => Some(INSERTED_INTO[3]),
            _ => None,
        }
    }

    /// It is about one thing, and has words about it that may be written more plainly, or left out.
    pub(crate) fn has_words_of_one(&self) -> bool {
        match self {
            Self::EndTasks { ends, .. } => ends.len() == 1,
            Self::EndMessages { ends, .. } => ends.len() == 1,
            Self::InsertDeadLetters { dead_letters } => dead_letters.len() == 1,
            Self::ReapGone { .. }
            | Self::SyncEntries { .. }
            | Self::ClaimFire(_)
            | Self::TakeFire { .. }
            | Self::EndRun(_)
            | Self::SetPause(_)
            | Self::OrderTask(_)
            | Self::Audit(_)
            | Self::EndOrder(_) => true,
            _ => false,
        }
    }

    /// Parts of it may be left out where they are refused: rows of a claim, those that are given back or deleted, what
    /// is written for people alone, entries.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(
            self,
            Self::ClaimTasks { .. }
                | Self::ClaimMessages { .. }
                | Self::GiveBackTasks { .. }
                | Self::GiveBackMessages { .. }
                | Self::ReapSilent { .. }
                | Self::ReapGone { .. }
                | Self::EndBoot { .. }
                | Self::TrimTasks { .. }
                | Self::TrimCrontabLog { .. }
                | Self::TrimDeadLetters { .. }
                | Self::SyncEntries { .. }
                | Self::ClaimFire(_)
                | Self::TakeFire { .. }
                | Self::RunStarted { .. }
                | Self::EndRun(_)
                | Self::ClaimNotices(_)
                | Self::EndNotices { .. }
                | Self::TrimNotices
        )
    }

    /// How many rows it is about, roughly.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::InsertTasks { rows, .. } => rows.len(),
            Self::InsertMessages { rows, .. } => rows.len(),
            Self::EndTasks { ends, .. } => ends.len(),
            Self::EndMessages { ends, .. } => ends.len(),
            Self::ClaimTasks { most, .. } | Self::ClaimMessages { most, .. } => {
                usize::try_from(most.count).unwrap_or(usize::MAX)
            }
            Self::InsertDeadLetters { dead_letters } => dead_letters.len(),
            Self::NoteFailures { failures } => failures.len(),
            Self::AddCount(add) => add.periods.len(),
            Self::EndNotices { ids, .. } => ids.len(),
            Self::InsertKeyed(insert) => insert.keys.len(),
            _ => 1,
        }
    }
}

/// What a committed write answers.
#[derive(Debug, Clone)]
pub(crate) enum Written {
    Nothing,
    Ids(Vec<i64>),
    Tasks(ClaimedTasks),
    Messages(Vec<ClaimedMessage>),
    Settlement(Settlement),
    Replayed(Replayed),
    Deleted(DeletedDeadLetters),
    Reaped(Reaped),
    /// In the order of the entries asked about, unix milliseconds: the last fire known, else since when it is live.
    Since(Vec<i64>),
    /// Whose the fire is.
    Claimed(Claim),
    /// Whether this was the run's first end.
    Ended(bool),
    Count(usize),
    Trimmed(Trimmed),
    Counted(Counted),
    Notices(Vec<CountNotice>),
    Ordered(TaskOrdered),
    Keyed(Keyed),
    KeyClaimed(KeyClaimed),
    Granted(Granted),
}

/// What became of dead letters that were to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// In the order of the dead letters asked for: the row that each became; none where the dead letter was gone.
    pub(crate) rows: Vec<Option<i64>>,
    /// The order's row of `audit`, once there is one.
    pub(crate) audit: Option<i64>,
}

/// What became of dead letters that were to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletedDeadLetters {
    pub(crate) count: usize,
    /// The order's row of `audit`, once there is one.
    pub(crate) audit: Option<i64>,
}

/// What became of a portion of a table's oldest rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) deleted: usize,
    /// Behind this id there may be more; none where the rows are young, or there are none.
    pub(crate) more_after_id: Option<i64>,
}

/// What became of ends. Those in neither list count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// Too late: others had taken over.
    pub(crate) stale: Vec<i64>,
    /// Not written, as another transaction has locked the row: to be tried again.
    pub(crate) held: Vec<i64>,
}

impl Settlement {
    pub(crate) fn of_stale(stale: Vec<i64>) -> Self {
        Self {
            stale,
            held: Vec::new(),
        }
    }
}
