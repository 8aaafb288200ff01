//! The delay queue's statements.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Text};

use super::part::{leaving_out, part};
use super::{dead, lengths::fitting};
use crate::clock::{local_text, now_ms};
use crate::job::Disposition;
use crate::store::apart::{Manner, Pieces, Unclaimable, without};
use crate::store::columns::{DONE, FAILED, RUNNING, WAITING, death_result};
use crate::store::raw_task::{RawTask, Unreadable, read_all};
use crate::store::rows::{Charge, ClaimedTasks, FIRST_FENCE, NewTask, TaskEnd};
use crate::store::schema::delay_queue_log::{self as log, dsl};
use crate::store::truncate::{fitted, readable};
use crate::store::write::{
    ClaimTasks, EndTasks, InsertTasks, Most, ReleaseTasks, Settlement, TRIM_ROWS, TrimTasks,
};
use crate::trace::Trace;

/// Its name in the log.
const QUEUE: &str = "delayed tasks";

pub(super) fn insert(
    connection: &mut SqliteConnection,
    InsertTasks { rows, owner }: &InsertTasks,
) -> QueryResult<Vec<i64>> {
    let one = |row: &NewTask| insert_one(connection, row, owner);
    rows.iter().map(one).collect()
}

pub(super) fn insert_one(
    connection: &mut SqliteConnection,
    row: &NewTask,
    owner: &str,
) -> QueryResult<i64> {
    let now = local_text();
    let (status, owner, fence) = if row.claimed {
        (RUNNING, owner, FIRST_FENCE)
    } else {
        (WAITING, "", 0)
    };
    diesel::insert_into(log::table)
        .values((
            dsl::name.eq(&row.name),
            dsl::exec_cmd.eq(&row.exec_cmd),
            dsl::params.eq(&row.params),
            dsl::status.eq(status),
            dsl::exec_time.eq(row.due_ms.div_euclid(1000)),
            dsl::due_ms.eq(row.due_ms),
            dsl::owner.eq(owner),
            dsl::fence.eq(fence),
            dsl::trace.eq(row.trace.as_ref().map(Trace::column)),
            dsl::create_time.eq(&now),
            dsl::update_time.eq(&now),
        ))
        .returning(dsl::id)
        .get_result(connection)
}

/// One statement, in a transaction that already holds the write lock: no two claimers can take the same row.
/// The inner select walks `idx_status_exectime` in order and stops at the limit.
pub(super) const CLAIM: &str = "
    UPDATE delay_queue_log SET status = 2, owner = ?, fence = fence + 1, update_time = ?
    WHERE id IN (SELECT id FROM delay_queue_log
                 WHERE status = 1 AND exec_time BETWEEN ? AND ? ORDER BY exec_time, id LIMIT ?)
    RETURNING id, CAST(name AS BLOB) AS name, CAST(exec_cmd AS BLOB) AS exec_cmd,
              CAST(params AS BLOB) AS params, exec_time, due_ms, attempts, fence,
              CAST(substr(result, 1, 64) AS BLOB) AS result, CAST(trace AS BLOB) AS trace";

/// The rows that the claim would take, for their lengths. SQLite reads those from the heads of the rows, not the
/// values.
pub(super) const LENGTHS: &str = "
    SELECT coalesce(octet_length(params), 0) + coalesce(octet_length(name), 0)
           + coalesce(octet_length(exec_cmd), 0) AS bytes
    FROM delay_queue_log WHERE status = 1 AND exec_time BETWEEN ? AND ? ORDER BY exec_time, id LIMIT ?";

/// Waiting rows whose time is no number, which SQLite takes: they stand behind every number, in the same index, and are
/// due never.
pub(super) const NEVER_DUE: &str =
    "SELECT id, attempts, CAST(exec_cmd AS BLOB) AS exec_cmd FROM delay_queue_log
     WHERE status = 1 AND exec_time >= '' LIMIT ?";

#[derive(QueryableByName)]
struct NeverDue {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
}

pub(super) fn claim(
    connection: &mut SqliteConnection,
    (manner, unclaimable): (Manner, &Unclaimable),
    claim: &ClaimTasks,
) -> QueryResult<ClaimedTasks> {
    let mut claimed = match manner {
        Manner::Whole => {
            let left_out = unclaimable.of(QUEUE);
            claim_some(connection, claim, (claim.most, &left_out))?.0
        }
        Manner::Apart => claim_in_pieces(connection, unclaimable, claim)?,
    };
    if claim.from_s.is_none() {
        let ended = part(connection, manner, |connection| {
            end_never_due(connection, &claim.owner, claim.most)
        });
        match ended? {
            Ok(dead_letters) => claimed.dead_letters.extend(dead_letters),
            Err(why) => ::log::error!(
                "delayed tasks whose `exec_time` is no number stay as they are: {why}"
            ),
        }
    }
    Ok(claimed)
}

/// Those that can be read, and how many rows there were with how many bytes. The others end here.
fn claim_some(
    connection: &mut SqliteConnection,
    claim: &ClaimTasks,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<(ClaimedTasks, usize, usize)> {
    // In this transaction both statements find the same rows.
    let lengths = diesel::sql_query(without(LENGTHS, left_out))
        .bind::<BigInt, _>(claim.from_s.unwrap_or(i64::MIN))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(i64::from(most.count));
    let fitting = fitting(connection, lengths, most)?;
    let rows: Vec<RawTask> = diesel::sql_query(without(CLAIM, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<Text, _>(local_text())
        .bind::<BigInt, _>(claim.from_s.unwrap_or(i64::MIN))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(fitting)
        .load(connection)?;
    let bytes = rows.iter().map(|row| row.params.len()).sum();
    let count = rows.len();
    // RETURNING promises no order.
    let (tasks, unreadable) = read_all(rows);
    let dead_letters = end_unreadable(connection, &claim.owner, unreadable)?;
    Ok((
        ClaimedTasks {
            tasks,
            dead_letters,
        },
        count,
        bytes,
    ))
}

fn claim_in_pieces(
    connection: &mut SqliteConnection,
    unclaimable: &Unclaimable,
    claim: &ClaimTasks,
) -> QueryResult<ClaimedTasks> {
    let mut pieces = Pieces::new(QUEUE, unclaimable, claim.most);
    let mut claimed = ClaimedTasks::default();
    while let Some((piece, left_out)) = pieces.next() {
        let tried = part(connection, Manner::Apart, |connection| {
            claim_some(connection, claim, (piece, &left_out))
        });
        match tried? {
            Ok((some, count, bytes)) => {
                pieces.took(count, bytes);
                claimed.tasks.extend(some.tasks);
                claimed.dead_letters.extend(some.dead_letters);
            }
            Err(why) if pieces.refused() => {
                let head = head(connection, claim, left_out)?;
                pieces.leave_out(head, &why);
            }
            Err(_) => {}
        }
    }
    claimed.tasks.sort_by_key(|task| (task.due_ms, task.id));
    Ok(claimed)
}

/// The row that a claim would take first.
fn head(
    connection: &mut SqliteConnection,
    claim: &ClaimTasks,
    left_out: Vec<i64>,
) -> QueryResult<Option<i64>> {
    log::table
        .filter(dsl::status.eq(WAITING))
        .filter(dsl::exec_time.between(claim.from_s.unwrap_or(i64::MIN), claim.until_s))
        .filter(dsl::id.ne_all(left_out))
        .order((dsl::exec_time, dsl::id))
        .select(dsl::id)
        .first(connection)
        .optional()
}

fn end_never_due(
    connection: &mut SqliteConnection,
    owner: &str,
    most: Most,
) -> QueryResult<Vec<(String, String)>> {
    let rows: Vec<NeverDue> = diesel::sql_query(NEVER_DUE)
        .bind::<BigInt, _>(i64::from(most.count))
        .load(connection)?;
    let unreadable = rows.into_iter().map(|row| Unreadable {
        id: row.id,
        attempts: row.attempts,
        exec_cmd: readable(&row.exec_cmd),
        why: "its `exec_time` is no number".to_owned(),
    });
    end_unreadable(connection, owner, unreadable.collect())
}

fn end_unreadable(
    connection: &mut SqliteConnection,
    owner: &str,
    rows: Vec<Unreadable>,
) -> QueryResult<Vec<(String, String)>> {
    for row in &rows {
        fail(connection, row)?;
        dead::from_task(connection, row.id, owner, &row.why)?;
        row.report();
    }
    Ok(rows.iter().map(Unreadable::dead_letter).collect())
}

fn fail(connection: &mut SqliteConnection, row: &Unreadable) -> QueryResult<usize> {
    diesel::update(log::table.filter(dsl::id.eq(row.id)))
        .set((
            dsl::status.eq(FAILED),
            dsl::result.eq(fitted(&row.result())),
            dsl::owner.eq(""),
            dsl::update_time.eq(local_text()),
        ))
        .execute(connection)
}

pub(super) fn end(
    connection: &mut SqliteConnection,
    EndTasks { owner, ends }: &EndTasks,
) -> QueryResult<Settlement> {
    let mut stale = Vec::new();
    for end in ends {
        if end_one(connection, owner, end)? == 0 {
            stale.push(end.id);
        }
    }
    Ok(Settlement::of_stale(stale))
}

/// The owner and the fence in each condition are what refuses a stale owner: a row that was taken over has another
/// owner, one that came back to the same owner has a higher fence.
fn end_one(connection: &mut SqliteConnection, owner: &str, end: &TaskEnd) -> QueryResult<usize> {
    let mine = log::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq(owner))
        .filter(dsl::fence.eq(end.fence));
    let now = local_text();
    match &end.disposition {
        Disposition::Complete => diesel::update(mine)
            .set((
                dsl::status.eq(DONE),
                dsl::result.eq(fitted(&end.result)),
                dsl::owner.eq(""),
                dsl::update_time.eq(&now),
            ))
            .execute(connection),
        Disposition::Retry(due_ms) => diesel::update(mine)
            .set((
                dsl::status.eq(WAITING),
                dsl::result.eq(fitted(&end.result)),
                dsl::owner.eq(""),
                dsl::attempts.eq(dsl::attempts + 1),
                dsl::exec_time.eq(due_ms.div_euclid(1000)),
                dsl::due_ms.eq(due_ms),
                dsl::update_time.eq(&now),
            ))
            .execute(connection),
        Disposition::DeadLetter { error, attempts } => {
            let changed = diesel::update(mine)
                .set((
                    dsl::status.eq(FAILED),
                    dsl::result.eq(fitted(&end.result)),
                    dsl::owner.eq(""),
                    dsl::attempts.eq(i32::try_from(*attempts).unwrap_or(i32::MAX)),
                    dsl::update_time.eq(&now),
                ))
                .execute(connection)?;
            if changed == 1 {
                dead::from_task(connection, end.id, owner, error)?;
            }
            Ok(changed)
        }
        Disposition::Release => diesel::update(mine)
            .set((
                dsl::status.eq(WAITING),
                dsl::owner.eq(""),
                dsl::update_time.eq(&now),
            ))
            .execute(connection),
    }
}

/// Releases the tasks of a boot that lives on, but for those that are known to run.
pub(super) fn release_except(
    connection: &mut SqliteConnection,
    manner: Manner,
    ReleaseTasks { owner, keep }: &ReleaseTasks,
) -> QueryResult<usize> {
    let claims: Vec<(i64, i64)> = log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq(owner))
        .select((dsl::id, dsl::fence))
        .load(connection)?;
    let keep: HashSet<&(i64, i64)> = keep.iter().collect();
    let back = claims.iter().filter(|claim| !keep.contains(claim));
    let back: Vec<i64> = back.map(|(id, _)| *id).collect();
    leaving_out(connection, manner, "delay_queue_log", &back, free)
}

/// The owners of running tasks. `idx_status_exectime` bounds the query to the running ones.
pub(super) fn owners(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.ne(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
}

/// Releases all tasks of a boot that is gone. `idx_status_exectime` bounds the query to the running ones.
pub(super) fn give_back_all(
    connection: &mut SqliteConnection,
    manner: Manner,
    owner: &str,
) -> QueryResult<usize> {
    let ids: Vec<i64> = log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq(owner))
        .select(dsl::id)
        .load(connection)?;
    leaving_out(connection, manner, "delay_queue_log", &ids, free)
}

fn free(connection: &mut SqliteConnection, id: i64) -> QueryResult<usize> {
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::status.eq(WAITING),
            dsl::owner.eq(""),
            dsl::update_time.eq(local_text()),
        ))
        .execute(connection)
}

/// Charges a task for the end of its process. It is waiting already: its boot's rows were given back before.
/// Answers whether it became a dead letter; `None` where the row is not there or finished since.
pub(super) fn charge(
    connection: &mut SqliteConnection,
    id: i64,
    owner: &str,
    charge: &Charge,
) -> QueryResult<Option<bool>> {
    let attempts: Option<i32> = log::table
        .filter(dsl::id.eq(id))
        .filter(dsl::status.eq_any([WAITING, RUNNING]))
        .select(dsl::attempts)
        .first(connection)
        .optional()?;
    let Some(attempts) = attempts.map(|attempts| attempts + 1) else {
        return Ok(None);
    };
    let result = fitted(&death_result(&charge.how));
    let reached = u32::try_from(attempts).unwrap_or(0);
    let dead = reached >= charge.max_attempts;
    let row = log::table.filter(dsl::id.eq(id));
    diesel::update(row)
        .set((
            dsl::attempts.eq(attempts),
            dsl::result.eq(&result),
            dsl::update_time.eq(local_text()),
        ))
        .execute(connection)?;
    let waiting = row.filter(dsl::status.eq(WAITING));
    if dead {
        let changed = diesel::update(waiting)
            .set(dsl::status.eq(FAILED))
            .execute(connection)?;
        if changed == 1 {
            let error = format!("the process ended while it ran: {}", charge.how);
            dead::from_task(connection, id, owner, &error)?;
            return Ok(Some(true));
        }
    } else {
        let due_ms = now_ms() + charge.after_ms(reached);
        diesel::update(waiting)
            .set((
                dsl::exec_time.eq(due_ms.div_euclid(1000)),
                dsl::due_ms.eq(due_ms),
            ))
            .execute(connection)?;
    }
    Ok(Some(false))
}

/// `idx_status_exectime` finds them.
pub(super) fn trim(
    connection: &mut SqliteConnection,
    manner: Manner,
    &TrimTasks { before_s }: &TrimTasks,
) -> QueryResult<usize> {
    let old: Vec<i64> = log::table
        .filter(dsl::status.eq_any([DONE, FAILED]))
        .filter(dsl::exec_time.lt(before_s))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    let delete = |connection: &mut SqliteConnection, id| {
        diesel::delete(log::table.filter(dsl::id.eq(id))).execute(connection)
    };
    leaving_out(connection, manner, "delay_queue_log", &old, delete)
}
