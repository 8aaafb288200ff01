//! The delay queue's statements that are the same on every database.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::SmallInt;

use super::dialect::delay_queue_log::{self as log, dsl};
use super::dialect::{self, Connection, RunQueryDsl, row_time};
use super::part::part;
use super::{dead, ids, named};
use crate::clock::now_ms;
use crate::store::claims::not_kept;
use crate::store::columns::{DONE, FAILED, RUNNING, WAITING, death_result};
use crate::store::parts::{Chunks, Manner};
use crate::store::raw_task::{RawTask, Unreadable, read_all};
use crate::store::rows::{ClaimedTasks, Crash};
use crate::store::write::{ClaimTasks, ReleaseTasks, TRIM_ROWS, TrimTasks};

/// Its name in the log.
const QUEUE: &str = "delayed tasks";
const TABLE: &str = "delay_queue_log";

pub(in crate::store) async fn claim(
    connection: &mut Connection,
    claim: &ClaimTasks,
) -> QueryResult<ClaimedTasks> {
    let mut claimed = match connection.limits.manner {
        Manner::Whole => {
            let left_out = connection.unclaimable.of(QUEUE);
            let most = (claim.most, left_out.as_slice());
            let rows = dialect::claim_tasks(connection, claim, most).await?;
            read(connection, &claim.owner, rows).await?
        }
        Manner::ByParts => claim_in_chunks(connection, claim).await?,
    };
    if claim.from_s.is_none() {
        let ended = part(connection, async |connection| {
            let rows = dialect::never_due(connection, claim.most).await?;
            end_unreadable(connection, &claim.owner, rows).await
        });
        match ended.await? {
            Ok(dead_letters) => claimed.dead_letters.extend(dead_letters),
            Err(why) => ::log::error!(
                "delayed tasks whose `exec_time` is no number stay as they are: {why}"
            ),
        }
    }
    Ok(claimed)
}

async fn claim_in_chunks(
    connection: &mut Connection,
    claim: &ClaimTasks,
) -> QueryResult<ClaimedTasks> {
    let mut chunks = Chunks::new(QUEUE, &connection.unclaimable, claim.most);
    let mut claimed = ClaimedTasks::default();
    while let Some((chunk, left_out)) = chunks.next() {
        let tried = part(connection, async |connection| {
            let most = (chunk, left_out.as_slice());
            let rows = dialect::claim_tasks(connection, claim, most).await?;
            let bytes = rows.iter().map(|row| row.params.len()).sum();
            let count = rows.len();
            Ok((read(connection, &claim.owner, rows).await?, count, bytes))
        });
        match tried.await? {
            Ok((some, count, bytes)) => {
                chunks.took(count, bytes);
                claimed.tasks.extend(some.tasks);
                claimed.dead_letters.extend(some.dead_letters);
            }
            Err(why) if chunks.refused() => {
                let head = head(connection, claim, left_out).await?;
                chunks.leave_out(head, &why);
            }
            Err(_) => {}
        }
    }
    claimed.tasks.sort_by_key(|task| (task.due_ms, task.id));
    Ok(claimed)
}

/// The row that a claim would take first.
async fn head(
    connection: &mut Connection,
    claim: &ClaimTasks,
    left_out: Vec<i64>,
) -> QueryResult<Option<i64>> {
    let from_s = claim.from_s.unwrap_or(dialect::EARLIEST_S);
    log::table
        .filter(dsl::status.eq(WAITING))
        .filter(dsl::exec_time.between(from_s, claim.until_s))
        .filter(dsl::id.ne_all(left_out))
        .order((dsl::exec_time, dsl::id))
        .select(dsl::id)
        .first(connection)
        .await
        .optional()
}

/// Those that can be read. The others end here.
async fn read(
    connection: &mut Connection,
    owner: &str,
    rows: Vec<RawTask>,
) -> QueryResult<ClaimedTasks> {
    let (tasks, unreadable) = read_all(rows);
    let dead_letters = end_unreadable(connection, owner, unreadable).await?;
    Ok(ClaimedTasks {
        tasks,
        dead_letters,
    })
}

async fn end_unreadable(
    connection: &mut Connection,
    owner: &str,
    rows: Vec<Unreadable>,
) -> QueryResult<Vec<(String, String)>> {
    for row in &rows {
        fail(connection, row.id, &row.result(), row.attempts).await?;
        dead::from_task(connection, row.id, owner, &row.why).await?;
        row.report();
    }
    Ok(rows.iter().map(Unreadable::dead_letter).collect())
}

/// The task ends with status 4. Its row is the caller's.
pub(in crate::store) async fn fail(
    connection: &mut Connection,
    id: i64,
    result: &str,
    attempts: i32,
) -> QueryResult<usize> {
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::status.eq(FAILED),
            dsl::result.eq(connection.limits.task_result(result)),
            dsl::owner.eq(""),
            dsl::attempts.eq(attempts),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await
}

/// Releases the tasks of a boot that lives on, but for those that are known to run. They are read without a lock, which
/// would wait for rows of others; only this boot changes its own rows meanwhile.
pub(in crate::store) async fn release_except(
    connection: &mut Connection,
    ReleaseTasks { owner, keep }: &ReleaseTasks,
) -> QueryResult<usize> {
    let claims: Vec<(i64, i64)> = log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq(owner))
        .order(dsl::id)
        .select((dsl::id, dsl::fence))
        .load(connection)
        .await?;
    let back = not_kept(claims, keep);
    dialect::tasks::release(connection, owner, back).await
}

/// The owners of running tasks. `idx_status_exectime` bounds the query to the running ones.
pub(in crate::store) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.ne(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
        .await
}

/// Releases all tasks of boots that are gone. `idx_status_exectime` bounds the query to the running ones. Rows that
/// are locked are left for the next poll: a daemon that was frozen in the middle of a transaction holds them, and
/// no other daemon may stand still with it.
pub(in crate::store) async fn release_all(
    connection: &mut Connection,
    owners: &[String],
) -> QueryResult<usize> {
    let running = log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq_any(owners))
        .order(dsl::id)
        .select(dsl::id);
    let ids: Vec<i64> = dialect::for_update_skip_locked!(running)
        .load(connection)
        .await?;
    dialect::tasks::free(connection, &ids).await
}

/// Records a crash of a task. Its boot's rows were released before, so it is waiting. Returns whether it became a dead
/// letter; `None` where the row is gone or has ended.
pub(in crate::store) async fn record_crash(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    crash: &Crash,
) -> QueryResult<Option<bool>> {
    let open = log::table
        .filter(dsl::id.eq(id))
        .filter(dsl::status.eq_any([WAITING, RUNNING]))
        .select((dsl::attempts, sql::<SmallInt>("status")));
    let found: Option<(i32, i16)> = dialect::for_update!(open)
        .first(connection)
        .await
        .optional()?;
    let Some((attempts, status)) = found else {
        return Ok(None);
    };
    let attempts = attempts + 1;
    let result = death_result(&crash.how);
    let reached = u32::try_from(attempts).unwrap_or(0);
    if status == WAITING && reached >= crash.max_attempts {
        fail(connection, id, &result, attempts).await?;
        let error = format!("the process ended while it ran: {}", crash.how);
        dead::from_task(connection, id, owner, &error).await?;
        return Ok(Some(true));
    }
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::attempts.eq(attempts),
            dsl::result.eq(connection.limits.task_result(&result)),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await?;
    // Another boot may have claimed it meanwhile: the crash counts, and that boot decides whether it becomes a dead letter.
    if status == WAITING && reached < crash.max_attempts {
        let due_ms = now_ms() + crash.after_ms(reached);
        diesel::update(log::table.filter(dsl::id.eq(id)))
            .set((
                dsl::exec_time.eq(due_ms.div_euclid(1000)),
                dsl::due_ms.eq(due_ms),
            ))
            .execute(connection)
            .await?;
    }
    Ok(Some(false))
}

/// `idx_status_exectime` finds them.
pub(in crate::store) async fn trim(
    connection: &mut Connection,
    &TrimTasks { before_s }: &TrimTasks,
) -> QueryResult<usize> {
    let old = log::table
        .filter(dsl::status.eq_any([DONE, FAILED]))
        .filter(dsl::exec_time.lt(before_s))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX));
    let old: Vec<i64> = dialect::for_update_skip_locked!(old)
        .load(connection)
        .await?;
    ids::each(connection, TABLE, &old, |ids| named::delete(TABLE, ids)).await
}
