//! Rows, fires and ends as most tests need them.

use super::*;
use crate::store::rows::BootRow;

pub(super) fn boot(owner: &str) -> BootRow {
    BootRow {
        owner: owner.to_owned(),
        partition: "script1".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        interval_ms: 5000,
        version: "0.1.0",
    }
}

pub(super) fn task(params: &str, due_ms: i64) -> NewTask {
    NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms,
        claimed: false,
        trace: None,
    }
}

pub(super) fn tasks(n: i64) -> Vec<NewTask> {
    let now = now_ms();
    (0..n).map(|i| task(&i.to_string(), now)).collect()
}

pub(super) fn message(payload: &[u8]) -> NewMessage {
    NewMessage {
        payload: Bytes::copy_from_slice(payload),
        key: None,
        headers: Vec::new(),
    }
}

pub(super) fn entry() -> EntryName {
    EntryName {
        name: "orders".to_owned(),
        exec_cmd: "order".to_owned(),
    }
}

pub(super) fn fire(entry: &str, scheduled_ms: i64, uk: &str, is_log: bool) -> Fire {
    Fire {
        partition: "script1".to_owned(),
        entry: entry.to_owned(),
        scheduled_ms,
        uk: uk.to_owned(),
        name: "n".to_owned(),
        exec_cmd: "c".to_owned(),
        params: String::new(),
        owner: ME.to_owned(),
        machine: "{}".to_owned(),
        timeout_ms: 0,
        is_log,
        at_overlap: AtOverlap::Allow,
        expired: None,
        given_up: crate::store::rows::GivenUp::default(),
        order: None,
    }
}

pub(super) fn started(uk: &str, pid: i32) -> RunStarted {
    let (uk, start_ticks) = (uk.to_owned(), Some(77));
    RunStarted {
        uk,
        pid,
        start_ticks,
    }
}

pub(super) fn task_end(task: &ClaimedTask, disposition: Disposition<i64>, result: &str) -> TaskEnd {
    TaskEnd {
        id: task.id,
        fence: task.fence,
        exec_cmd: task.exec_cmd.clone(),
        disposition,
        result: result.to_owned(),
    }
}

pub(super) fn done() -> (Disposition<i64>, &'static str) {
    (Disposition::Complete, "ok")
}

pub(super) fn dead<R>(error: &str, attempts: u32) -> Disposition<R> {
    Disposition::DeadLetter {
        error: error.to_owned(),
        attempts,
    }
}

/// A schedule fires at whole seconds only.
pub(super) fn fire_time(at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(FIRES_MS)
}

pub(super) fn forbidding(entry: &str, scheduled_ms: i64, uk: &str) -> Fire {
    Fire {
        owner: format!("script1/{uk}"),
        at_overlap: skip(),
        ..fire(entry, scheduled_ms, uk, true)
    }
}

pub(super) fn skip() -> AtOverlap {
    AtOverlap::Skip {
        result: "one runs".to_owned(),
    }
}
