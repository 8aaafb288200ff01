//! The statements that are PostgreSQL's own.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::SimpleAsyncConnection;

use crate::store::browse::Words;
use crate::store::parts::without;
use crate::store::raw_task::RawTask;
use crate::store::rows::NewTask;
use crate::store::write::{ClaimMessages, ClaimTasks, Most};
use crate::trace::Trace;

use super::common::messages::Claimed;
pub(super) use super::connection::Connection;
pub(super) use super::errors::{is_lock_timeout, verdict};
pub(super) use super::migration::{
    MIGRATIONS, RIGHTS_PRELUDE, TABLES, lock_migrations, missing_rights, program,
    refuse_lent_sessions, refuse_old, refuse_settings, run_migration, unlock_migrations,
};
pub(super) use super::server::sql::*;
pub(super) use super::server::{dead, messages, tasks, warnings};

pub(super) use crate::store::error_class::Collision;
pub(super) use diesel_async::RunQueryDsl;

pub(super) type Backend = diesel::pg::Pg;

pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

pub(super) async fn begin(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(BEGIN).await
}

/// What a second row under one key does: an error that ends the transaction, or none.
pub(super) const COLLISION: Collision = Collision::Answers;

/// A second row under one key is not inserted.
macro_rules! insert_or_leave {
    ($connection:expr, $insert:expr) => {
        $insert
            .on_conflict_do_nothing()
            .execute($connection)
            .await?
    };
}
pub(super) use insert_or_leave;

/// Locks the rows of `q`.
pub(super) const FOR_UPDATE_OF_ROWS: &str = "FOR UPDATE OF q";

/// Which key of a row two may have in common.
macro_rules! same_id {
    ($id:expr) => {
        $id
    };
}
pub(super) use same_id;

/// The server's clock, in unix milliseconds; the same for a whole statement, so that an index can be walked by it.
pub(super) const NOW_MS: &str = "(extract(epoch from statement_timestamp()) * 1000)::bigint";

/// `place`, a table and its column, and how many characters are its most.
pub(super) const WIDTHS: &str = "
    SELECT table_name || '.' || column_name AS place, character_maximum_length::bigint AS chars
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name IN ('delay_queue_log', 'crontab_log', 'dead_letter')
      AND character_maximum_length IS NOT NULL";

/// The planner takes the index that claims walk by itself.
pub(super) const INDEX_OF_TASKS: &str = "";
/// A delayed task by its names.
pub(super) const NAMED_TASK: &str =
    "id, COALESCE(name, '') AS name, COALESCE(exec_cmd, '') AS exec_cmd";
/// A delayed task `q` with all its columns.
pub(super) const SHOWN_TASK: &str = "
    q.id, COALESCE(q.name, '') AS name, COALESCE(q.exec_cmd, '') AS exec_cmd,
    COALESCE(q.params, '') AS params, q.status::bigint AS status, COALESCE(q.result, '') AS result,
    q.exec_time::bigint AS exec_time, left(q.create_time::text, 19) AS create_time,
    left(q.update_time::text, 19) AS update_time, q.owner, q.fence, q.attempts, q.due_ms";

/// For the statements of `store/browse/`.
pub(super) const WORDS: Words = Words {
    bound: |n| format!("${n}"),
    int8: |number| format!("({number})::bigint"),
    bytes: |text| format!("COALESCE({text}, '')"),
    text: |column| format!("{column}::text"),
    has_bytes: |bytes, text| format!("position(convert_to({text}, 'UTF8') in {bytes}) > 0"),
    tasks_by_time: INDEX_OF_TASKS,
    subquery_names_outer: true,
};

/// The first bound value.
pub(super) const FIRST: &str = "$1";

/// Ids come from a sequence, in the order of the rows.
macro_rules! insert_returning_ids {
    ($connection:expr, $insert:expr, $id:expr, $rows:expr) => {{
        let mut ids: Vec<i64> = $insert.returning($id).get_results($connection).await?;
        ids.sort_unstable();
        debug_assert_eq!(ids.len(), $rows);
        ids
    }};
}
pub(super) use insert_returning_ids;

/// One statement. Answers the ids.
pub(super) async fn insert_tasks(
    connection: &mut Connection,
    rows: &[(&NewTask, &str)],
) -> QueryResult<Vec<i64>> {
    use delay_queue_log::dsl;

    let values: Vec<_> = rows
        .iter()
        .map(|(row, owner)| {
            let (status, owner, fence) = row.beginning(owner);
            (
                dsl::name.eq(row.name.as_str()),
                dsl::exec_cmd.eq(row.exec_cmd.as_str()),
                dsl::params.eq(row.params.as_str()),
                dsl::status.eq(status),
                dsl::result.eq(""),
                dsl::exec_time.eq(row.due_ms.div_euclid(1000)),
                dsl::due_ms.eq(row.due_ms),
                dsl::owner.eq(owner),
                dsl::fence.eq(fence),
                dsl::trace.eq(row.trace.as_ref().map(Trace::column)),
                dsl::create_time.eq(row_time()),
                dsl::update_time.eq(row_time()),
            )
        })
        .collect();
    let insert = diesel::insert_into(delay_queue_log::table).values(values);
    Ok(insert_returning_ids!(
        connection,
        insert,
        dsl::id,
        rows.len()
    ))
}

/// Bytes of one message to the server at most, a little below the protocol's 1 GiB. One that is larger breaks the
/// connection, each time.
pub(super) async fn largest_message(_: &mut Connection) -> QueryResult<usize> {
    Ok(1_000_000_000)
}

/// The index is walked in its order and left at the limit: ordered by the id too, all rows of one second would be read
/// and sorted first. Rows that others are claiming are skipped, not waited for. The lengths of what is claimed are read, not
/// the values (`b`): those come only where they fit.
/// MATERIALIZED: the select must run once, however the update is planned.
pub(super) const CLAIM_TASKS: &str = "
    WITH c AS MATERIALIZED (
        SELECT id, exec_time,
               octet_length(COALESCE(params, ''))::bigint + octet_length(COALESCE(name, '')) AS bytes
        FROM delay_queue_log
        WHERE status = 1 AND exec_time BETWEEN $2 AND $3 ORDER BY exec_time LIMIT $4
        FOR UPDATE SKIP LOCKED),
    b AS MATERIALIZED (
        SELECT id, bytes, sum(bytes) OVER (ORDER BY exec_time, id ROWS UNBOUNDED PRECEDING) AS through
        FROM c)
    UPDATE delay_queue_log AS t SET status = 2, owner = $1, fence = t.fence + 1, update_time = now()
    FROM b WHERE t.id = b.id AND (b.through <= $5 OR b.through = b.bytes)
    RETURNING t.id, COALESCE(t.name, '') AS name, COALESCE(t.exec_cmd, '') AS exec_cmd,
              COALESCE(t.params, '') AS params, t.exec_time::bigint AS exec_time, t.due_ms,
              t.attempts, t.fence, left(COALESCE(t.result, ''), 64) AS result, t.trace";

pub(super) async fn claim_tasks(
    connection: &mut Connection,
    claim: &ClaimTasks,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<RawTask>> {
    diesel::sql_query(without(CLAIM_TASKS, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<BigInt, _>(claim.from_s.unwrap_or(i64::MIN))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(i64::from(most.count))
        .bind::<BigInt, _>(i64::from(most.bytes))
        .load(connection)
        .await
}

/// As `CLAIM_TASKS`. Fresh messages and retries stand in one order, by when they are due, so neither starves the other.
pub(super) const CLAIM_MESSAGES: &str = "
    WITH c AS MATERIALIZED (
        SELECT id, due_ms,
               octet_length(payload)::bigint + COALESCE(octet_length(msg_key), 0)
               + COALESCE(octet_length(headers), 0) AS bytes
        FROM queue_message
        WHERE owner = '' AND queue = $2
          AND due_ms <= (extract(epoch from statement_timestamp()) * 1000)::bigint
        ORDER BY due_ms, id LIMIT $3
        FOR UPDATE SKIP LOCKED),
    b AS MATERIALIZED (
        SELECT id, bytes, sum(bytes) OVER (ORDER BY due_ms, id ROWS UNBOUNDED PRECEDING) AS through
        FROM c)
    UPDATE queue_message AS t SET owner = $1, fence = t.fence + 1
    FROM b WHERE t.id = b.id AND (b.through <= $4 OR b.through = b.bytes)
    RETURNING t.id, t.payload, t.msg_key, t.headers, t.due_ms, t.attempts, t.deaths, t.fence,
              t.origin";

pub(super) async fn claim_messages(
    connection: &mut Connection,
    claim: &ClaimMessages,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<Claimed>> {
    diesel::sql_query(without(CLAIM_MESSAGES, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(i64::from(most.count))
        .bind::<BigInt, _>(i64::from(most.bytes))
        .load(connection)
        .await
}

/// Status 3 and a result each, for rows that the caller has locked.
pub(super) async fn finish_tasks(
    connection: &mut Connection,
    done: &[(i64, String)],
) -> QueryResult<()> {
    let (ids, results): (Vec<i64>, Vec<&str>) = done
        .iter()
        .map(|(id, result)| (*id, result.as_str()))
        .unzip();
    diesel::sql_query(
        "UPDATE delay_queue_log AS t SET status = 3, result = e.result, owner = '', update_time = now()
         FROM unnest($1, $2) AS e(id, result) WHERE t.id = e.id",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<Text>, _>(results)
    .execute(connection)
    .await
    .map(drop)
}

#[derive(QueryableByName)]
struct Deleted {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

/// Deletes those of the rows that are the owner's by these claims and that nobody else has locked. Answers which.
pub(super) async fn delete_messages(
    connection: &mut Connection,
    owner: &str,
    claims: &[(i64, i64)],
) -> QueryResult<Vec<(i64, i64)>> {
    let (ids, fences): (Vec<i64>, Vec<i64>) = claims.iter().copied().unzip();
    let deleted: Vec<Deleted> = diesel::sql_query(
        "WITH c AS MATERIALIZED (
             SELECT t.id FROM queue_message AS t, unnest($1, $2) AS e(id, fence)
             WHERE t.id = e.id AND t.fence = e.fence AND t.owner = $3
             ORDER BY t.id FOR UPDATE OF t SKIP LOCKED)
         DELETE FROM queue_message AS t USING c WHERE t.id = c.id
         RETURNING t.id, t.fence",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<BigInt>, _>(fences)
    .bind::<Text, _>(owner)
    .load(connection)
    .await?;
    Ok(deleted.into_iter().map(|row| (row.id, row.fence)).collect())
}
