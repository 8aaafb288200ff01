//! Rows that a clock which was ahead has put off, and that nothing else explains.

use diesel::prelude::*;

use crate::clock::now_ms;
use crate::clock_watch::CLOCK_STEP_MS;
use crate::store::columns::WAITING;
use crate::store::schema::{delay_queue_log, queue_message};
use crate::store::write::{HastenMessages, HastenTasks, TRIM_ROWS};

pub(super) fn messages(
    connection: &mut SqliteConnection,
    &HastenMessages {
        ref queue,
        longest_ms,
    }: &HastenMessages,
) -> QueryResult<usize> {
    use queue_message::dsl;

    let now = now_ms();
    let never_failed = dsl::attempts.eq(0).and(dsl::deaths.eq(0));
    let latest = now.saturating_add(longest_ms).saturating_add(CLOCK_STEP_MS);
    let put_off: Vec<i64> = queue_message::table
        .filter(dsl::owner.eq(""))
        .filter(dsl::queue.eq(queue))
        .filter(dsl::due_ms.gt(now + CLOCK_STEP_MS))
        .filter(never_failed.or(dsl::due_ms.gt(latest)))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    if put_off.is_empty() {
        return Ok(0);
    }
    diesel::update(queue_message::table.filter(dsl::id.eq_any(put_off)))
        .set(dsl::due_ms.eq(now))
        .execute(connection)
}

pub(super) fn tasks(
    connection: &mut SqliteConnection,
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
        ))
        .execute(connection)
}
