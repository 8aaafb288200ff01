//! Rows as questions read them, on every database.

use diesel::prelude::*;

use super::columns::{RUN_ENDING, RUN_REPLACED};
use super::headers;
use super::rows::{DeadLetter, DeadLetterHead, OpenRun, PauseChange, PauseRow};
use super::schema::{cron_run, dead_letter, pause};

#[derive(Queryable, Selectable)]
#[diesel(table_name = cron_run)]
pub(in crate::store) struct Run {
    uk: String,
    entry: String,
    scheduled_ms: i64,
    name: String,
    owner: String,
    machine: String,
    pid: i32,
    start_ticks: Option<i64>,
    timeout_ms: i64,
    started_ms: i64,
    status: String,
}

impl Run {
    pub(in crate::store) fn open(self, alive: &[String]) -> OpenRun {
        OpenRun {
            owner_alive: alive.contains(&self.owner),
            replaced: self.status == RUN_REPLACED,
            ending: self.status == RUN_ENDING,
            uk: self.uk,
            entry: self.entry,
            scheduled_ms: self.scheduled_ms,
            owner: self.owner,
            name: self.name,
            machine: self.machine,
            pid: self.pid,
            start_ticks: self.start_ticks,
            timeout_ms: self.timeout_ms,
            started_ms: self.started_ms,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letter)]
pub(in crate::store) struct DeadLetterRow {
    id: i64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    headers: Option<String>,
    error: String,
    attempts: i32,
    partition_name: String,
    first_ms: i64,
    died_ms: i64,
}

impl From<DeadLetterRow> for DeadLetter {
    fn from(row: DeadLetterRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            source: row.source,
            name: row.name,
            exec_cmd: row.exec_cmd,
            original_id: row.original_id,
            payload: row.payload,
            key: row.msg_key,
            headers: headers::decode(row.headers.as_deref()),
            error: row.error,
            attempts: row.attempts,
            partition: row.partition_name,
            first_ms: row.first_ms,
            died_ms: row.died_ms,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letter)]
pub(in crate::store) struct Head {
    id: i64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    partition_name: String,
    error: String,
    died_ms: i64,
}

impl From<Head> for DeadLetterHead {
    fn from(row: Head) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            source: row.source,
            name: row.name,
            exec_cmd: row.exec_cmd,
            partition: row.partition_name,
            error: row.error,
            died_ms: row.died_ms,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = pause)]
pub(in crate::store) struct Paused {
    kind: String,
    name: String,
    since_ms: i64,
    until_ms: Option<i64>,
    ordered_by: String,
}

impl Paused {
    pub(in crate::store) fn row(self) -> PauseRow {
        PauseRow {
            kind: self.kind,
            name: self.name,
            since_ms: self.since_ms,
            until_ms: self.until_ms,
            ordered_by: self.ordered_by,
        }
    }
}

/// As `audit.result` has it.
pub(in crate::store) fn came_of(change: Option<PauseChange>) -> &'static str {
    match change {
        Some(_) => "done",
        None => "it was so already",
    }
}
