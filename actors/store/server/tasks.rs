//! The delay queue's statements.

use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::claims::{Acceptance, judge, not_kept};
use super::dialect::{self, Connection};
use super::part::part;
use super::schema::delay_queue_log::{self as log, dsl};
use super::{IN_ONE_STATEMENT, by_ids, dead};
use crate::clock::now_ms;
use crate::job::Disposition;
use crate::store::apart::{Manner, Pieces};
use crate::store::columns::{DONE, FAILED, RUNNING, WAITING, death_result};
use crate::store::raw_task::{RawTask, Unreadable, read_all};
use crate::store::rows::{Charge, ClaimedTasks, FIRST_FENCE, NewTask, TaskEnd};
use crate::store::write::{ClaimTasks, ReleaseTasks, TRIM_ROWS, TrimTasks};

/// Its name in the log.
const QUEUE: &str = "delayed tasks";

/// Rows of several pushes, each with the owner of those that are claimed. Answers their ids, in their order.
pub(super) async fn insert(
    connection: &mut Connection,
    rows: &[(&NewTask, &str)],
) -> QueryResult<Vec<i64>> {
    let mut ids = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(IN_ONE_STATEMENT) {
        ids.extend(dialect::insert_tasks(connection, chunk).await?);
    }
    Ok(ids)
}

/// How a new row begins: its status, its owner and its fence.
pub(in crate::store) fn beginning<'a>(row: &NewTask, owner: &'a str) -> (i16, &'a str, i64) {
    match row.claimed {
        true => (RUNNING, owner, FIRST_FENCE),
        false => (WAITING, "", 0),
    }
}

pub(super) async fn claim(
    connection: &mut Connection,
    claim: &ClaimTasks,
) -> QueryResult<ClaimedTasks> {
    let unclaimable = connection.unclaimable.clone();
    if connection.limits.manner == Manner::Whole {
        let left_out = unclaimable.of(QUEUE);
        let most = (claim.most, left_out.as_slice());
        let rows = dialect::claim_tasks(connection, claim, most).await?;
        return read(connection, &claim.owner, rows).await;
    }
    let mut pieces = Pieces::new(QUEUE, &unclaimable, claim.most);
    let mut claimed = ClaimedTasks::default();
    while let Some((piece, left_out)) = pieces.next() {
        let tried = part(connection, async |connection| {
            let most = (piece, left_out.as_slice());
            let rows = dialect::claim_tasks(connection, claim, most).await?;
            let bytes = rows.iter().map(|row| row.params.len()).sum();
            let count = rows.len();
            Ok((read(connection, &claim.owner, rows).await?, count, bytes))
        });
        match tried.await? {
            Ok((some, count, bytes)) => {
                pieces.took(count, bytes);
                claimed.tasks.extend(some.tasks);
                claimed.dead_letters.extend(some.dead_letters);
            }
            Err(why) if pieces.refused() => {
                let head = head(connection, claim, &left_out).await?;
                pieces.leave_out(head, &why);
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
    left_out: &[i64],
) -> QueryResult<Option<i64>> {
    log::table
        .filter(dsl::status.eq(WAITING))
        .filter(dsl::exec_time.between(claim.from_s.unwrap_or(0), claim.until_s))
        .filter(dsl::id.ne_all(left_out.to_vec()))
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
    for row in &unreadable {
        fail(connection, row.id, &row.result(), row.attempts).await?;
        dead::from_task(connection, row.id, owner, &row.why).await?;
        row.report();
    }
    let dead_letters = unreadable.iter().map(Unreadable::dead_letter).collect();
    Ok(ClaimedTasks {
        tasks,
        dead_letters,
    })
}

/// Ends of one owner's tasks. Answers for each whether it counts: the owner and the fence refuse a stale one, as a
/// row that was taken over has another owner, and one that came back to the same owner a higher fence.
pub(super) async fn end(
    connection: &mut Connection,
    owner: &str,
    ends: &[&TaskEnd],
) -> QueryResult<Vec<Acceptance>> {
    let ids = ends.iter().map(|end| end.id).collect();
    let mut mine = by_ids::lock_tasks(connection, owner, ids).await?;
    let acceptance = judge(&mut mine, ends.iter().map(|end| (end.id, end.fence)));
    let counted = ends
        .iter()
        .zip(&acceptance)
        .filter(|(_, acceptance)| **acceptance == Acceptance::Counts);
    let limits = connection.limits;
    let (mut done, mut back) = (Vec::new(), Vec::new());
    for (end, _) in counted {
        match &end.disposition {
            Disposition::Complete => done.push((end.id, limits.task_result(&end.result))),
            Disposition::Release => back.push(end.id),
            Disposition::Retry(due_ms) => {
                retry(connection, end.id, *due_ms, &end.result).await?;
            }
            Disposition::DeadLetter { error, attempts } => {
                let attempts = i32::try_from(*attempts).unwrap_or(i32::MAX);
                fail(connection, end.id, &end.result, attempts).await?;
                dead::from_task(connection, end.id, owner, error).await?;
            }
        }
    }
    // In the order of their ids, as all transactions lock them.
    done.sort_unstable();
    for chunk in done.chunks(IN_ONE_STATEMENT) {
        dialect::finish_tasks(connection, chunk).await?;
    }
    by_ids::free_tasks(connection, &back).await?;
    Ok(acceptance)
}

async fn retry(
    connection: &mut Connection,
    id: i64,
    due_ms: i64,
    result: &str,
) -> QueryResult<usize> {
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::status.eq(WAITING),
            dsl::result.eq(connection.limits.task_result(result)),
            dsl::owner.eq(""),
            dsl::attempts.eq(dsl::attempts + 1),
            dsl::exec_time.eq(due_ms.div_euclid(1000)),
            dsl::due_ms.eq(due_ms),
            dsl::update_time.eq(now),
        ))
        .execute(connection)
        .await
}

async fn fail(
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
            dsl::update_time.eq(now),
        ))
        .execute(connection)
        .await
}

/// Releases the tasks of a boot that lives on, but for those that are known to run. They are read without a lock, which
/// would wait for rows of others; only this boot changes its own rows meanwhile.
pub(super) async fn release_except(
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
    let mine = by_ids::await_tasks(connection, owner, back).await?;
    let mut back: Vec<i64> = mine.into_keys().collect();
    back.sort_unstable();
    by_ids::free_tasks(connection, &back).await
}

/// The owners of running tasks. `idx_status_exectime` bounds the query to the running ones.
pub(super) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
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
pub(super) async fn give_back_all(
    connection: &mut Connection,
    owners: &[String],
) -> QueryResult<usize> {
    let ids: Vec<i64> = log::table
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq_any(owners))
        .order(dsl::id)
        .select(dsl::id)
        .for_update()
        .skip_locked()
        .load(connection)
        .await?;
    by_ids::free_tasks(connection, &ids).await
}

/// Charges a task for the end of its process. It is waiting already: its boot's rows were given back before.
/// Answers whether it became a dead letter; `None` where the row is not there or finished since.
pub(super) async fn charge(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    charge: &Charge,
) -> QueryResult<Option<bool>> {
    let found: Option<(i32, i16)> = log::table
        .filter(dsl::id.eq(id))
        .filter(dsl::status.eq_any([WAITING, RUNNING]))
        .select((dsl::attempts, sql::<diesel::sql_types::SmallInt>("status")))
        .for_update()
        .first(connection)
        .await
        .optional()?;
    let Some((attempts, status)) = found else {
        return Ok(None);
    };
    let attempts = attempts + 1;
    let result = death_result(&charge.how);
    let reached = u32::try_from(attempts).unwrap_or(0);
    if status == WAITING && reached >= charge.max_attempts {
        fail(connection, id, &result, attempts).await?;
        let error = format!("the process ended while it ran: {}", charge.how);
        dead::from_task(connection, id, owner, &error).await?;
        return Ok(Some(true));
    }
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::attempts.eq(attempts),
            dsl::result.eq(connection.limits.task_result(&result)),
            dsl::update_time.eq(now),
        ))
        .execute(connection)
        .await?;
    // Somebody else runs it meanwhile: the death counts, the verdict is theirs.
    if status == WAITING && reached < charge.max_attempts {
        let due_ms = now_ms() + charge.after_ms(reached);
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
pub(super) async fn trim(
    connection: &mut Connection,
    &TrimTasks { before_s }: &TrimTasks,
) -> QueryResult<usize> {
    let old: Vec<i64> = log::table
        .filter(dsl::status.eq_any([DONE, FAILED]))
        .filter(dsl::exec_time.lt(before_s))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .for_update()
        .skip_locked()
        .load(connection)
        .await?;
    by_ids::delete_tasks(connection, &old).await
}
