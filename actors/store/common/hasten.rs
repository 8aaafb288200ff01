//! Rows that a clock which was ahead has put off, and that nothing else explains.

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl, delay_queue_log, now, now_plus, row_time};
use crate::clock::now_ms;
use crate::clock_watch::CLOCK_STEP_MS;
use crate::store::columns::WAITING;
use crate::store::schema::queue_message;
use crate::store::write::{HastenMessages, HastenTasks, TRIM_ROWS};

/// By the database's clock, which has set their times. Rows that another transaction has locked are left for the next
/// poll.
pub(in crate::store) async fn messages(
    connection: &mut Connection,
    &HastenMessages {
        ref queue,
        longest_ms,
    }: &HastenMessages,
) -> QueryResult<usize> {
    use queue_message::dsl;

    let never_failed = dsl::attempts.eq(0).and(dsl::deaths.eq(0));
    let put_off: Vec<i64> = dialect::for_update_skip_locked!(
        queue_message::table
            .filter(dsl::owner.eq(""))
            .filter(dsl::queue.eq(queue))
            .filter(dsl::due_ms.gt(now_plus(CLOCK_STEP_MS)))
            .filter(
                never_failed.or(dsl::due_ms.gt(now_plus(longest_ms.saturating_add(CLOCK_STEP_MS))))
            )
            .select(dsl::id)
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    if put_off.is_empty() {
        return Ok(0);
    }
    diesel::update(queue_message::table.filter(dsl::id.eq_any(put_off)))
        .set(dsl::due_ms.eq(now()))
        .execute(connection)
        .await
}

/// By this machine's clock, which sets the times of retries.
pub(in crate::store) async fn tasks(
    connection: &mut Connection,
    &HastenTasks { ref ids, after_s }: &HastenTasks,
) -> QueryResult<usize> {
    use delay_queue_log::dsl;

    let due_ms = now_ms();
    let put_off = delay_queue_log::table
        .filter(dsl::id.eq_any(ids))
        .filter(dsl::status.eq(WAITING))
        .filter(dsl::attempts.gt(0))
        .filter(dsl::exec_time.gt(after_s));
    diesel::update(put_off)
        .set((
            dsl::exec_time.eq(due_ms.div_euclid(1000)),
            dsl::due_ms.eq(due_ms),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await
}
