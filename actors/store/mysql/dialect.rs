//! The statements that are MySQL's own.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::common::ids::list;
use super::named;
use super::server::by_ids;
use crate::store::browse::Words;
use crate::store::columns::DONE;

#[cfg(test)]
pub(super) use super::claiming::{CLAIM_MESSAGES, CLAIM_TASKS};
pub(super) use super::claiming::{claim_messages, claim_tasks};
pub(super) use super::connection::Connection;
pub(super) use super::errors::{is_lock_timeout, verdict};
pub(super) use super::inserts::{insert_tasks, last_ids};
pub(super) use super::migration::{
    MIGRATIONS, RIGHTS_PRELUDE, TABLES, lock_migrations, missing_rights, refuse_lent_sessions,
    refuse_settings, run_migration, unlock_migrations,
};
pub(super) use super::product::{FOR_UPDATE_OF_ROWS, program, refuse_old};
pub(super) use super::server::sql::*;
pub(super) use super::server::{dead, messages, tasks, warnings};

pub(super) use crate::store::error_class::Collision;
pub(super) use diesel_async::RunQueryDsl;

pub(super) type Backend = diesel::mysql::Mysql;

pub(super) const BEGIN: &str = "START TRANSACTION";

/// Nothing to do on a connection that writes: its next statement begins a transaction (`connect::WRITES`), which saves a
/// round trip.
#[expect(clippy::unused_async, reason = "a statement elsewhere")]
pub(super) async fn begin(_: &mut Connection) -> QueryResult<()> {
    Ok(())
}

/// What a second row under one key does: an error that ends the transaction, or none.
pub(super) const COLLISION: Collision = Collision::Fails;

/// A second row under one key is an error.
macro_rules! insert_or_leave {
    ($connection:expr, $insert:expr) => {
        $insert.execute($connection).await?
    };
}
pub(super) use insert_or_leave;

/// Which key of a row two may have in common.
macro_rules! same_id {
    ($id:expr) => {
        diesel::dsl::DuplicatedKeys
    };
}
pub(super) use same_id;

/// The server's clock, in unix milliseconds; the same for a whole statement.
pub(super) const NOW_MS: &str =
    "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";

/// `place`, a table and its column, and how many characters are its most.
pub(super) const WIDTHS: &str = "
    SELECT CONCAT(LOWER(table_name), '.', LOWER(column_name)) AS place,
           CAST(character_maximum_length AS SIGNED) AS chars
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name IN ('delay_queue_log', 'crontab_log', 'dead_letter')
      AND character_maximum_length IS NOT NULL AND data_type NOT LIKE '%blob%'";

/// The index that claims walk, which the optimizer is made to take: see `claiming.rs`.
pub(super) const INDEX_OF_TASKS: &str = "FORCE INDEX (idx_status_exectime)";
/// A delayed task by its names.
pub(super) const NAMED_TASK: &str =
    "CAST(id AS SIGNED) AS id, COALESCE(name, '') AS name, COALESCE(exec_cmd, '') AS exec_cmd";
/// A delayed task `q` with all its columns.
pub(super) const SHOWN_TASK: &str = "
    CAST(q.id AS SIGNED) AS id, COALESCE(q.name, '') AS name, COALESCE(q.exec_cmd, '') AS exec_cmd,
    COALESCE(q.params, '') AS params, CAST(q.status AS SIGNED) AS status, COALESCE(q.result, '') AS result,
    CAST(q.exec_time AS SIGNED) AS exec_time, CAST(q.create_time AS CHAR(19)) AS create_time,
    CAST(q.update_time AS CHAR(19)) AS update_time, q.owner, q.fence, q.attempts, q.due_ms";

/// For the statements of `store/browse/`.
pub(super) const WORDS: Words = Words {
    bound: |_| "?".to_owned(),
    int8: |number| format!("CAST({number} AS SIGNED)"),
    bytes: |text| format!("COALESCE({text}, '')"),
    text: str::to_owned,
    has_bytes: |bytes, text| format!("LOCATE(CAST({text} AS BINARY), {bytes}) > 0"),
    tasks_by_time: INDEX_OF_TASKS,
    subquery_names_outer: false,
};

/// The first bound value.
pub(super) const FIRST: &str = "?";

macro_rules! insert_returning_ids {
    ($connection:expr, $insert:expr, $id:expr, $rows:expr) => {{
        $insert.execute($connection).await?;
        dialect::last_ids($connection, $rows).await?
    }};
}
pub(super) use insert_returning_ids;

#[derive(QueryableByName)]
struct Limit {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// Bytes of one message to the server at most. One that is larger breaks the connection, each time.
pub(super) async fn largest_message(connection: &mut Connection) -> QueryResult<usize> {
    let limit: Limit = diesel::sql_query("SELECT CAST(@@max_allowed_packet AS SIGNED) AS bytes")
        .get_result(connection)
        .await?;
    Ok(usize::try_from(limit.bytes).unwrap_or(usize::MAX))
}

/// Status 3 and a result each, for rows that the caller has locked.
pub(super) async fn finish_tasks(
    connection: &mut Connection,
    done: &[(i64, String)],
) -> QueryResult<()> {
    let Some((_, first)) = done.first() else {
        return Ok(());
    };
    let ids: Vec<i64> = done.iter().map(|(id, _)| *id).collect();
    let all_alike = done.iter().all(|(_, result)| result == first);
    let (value, bound) = if all_alike {
        ("?".to_owned(), &done[..1])
    } else {
        let cases: String = ids.iter().map(|id| format!(" WHEN {id} THEN ?")).collect();
        (format!("CASE q.id{cases} END"), done)
    };
    let finish = format!("status = {DONE}, result = {value}, owner = '', update_time = NOW()");
    let statement = named::update("delay_queue_log", &finish, &list(&ids));
    let mut query = diesel::sql_query(statement).into_boxed();
    for (_, result) in bound {
        query = query.bind::<Text, _>(result);
    }
    query.execute(connection).await.map(drop)
}

/// Deletes those of the rows that are the owner's by these claims and that nobody else has locked. Answers which.
pub(super) async fn delete_messages(
    connection: &mut Connection,
    owner: &str,
    claims: &[(i64, i64)],
) -> QueryResult<Vec<(i64, i64)>> {
    let ids = claims.iter().map(|(id, _)| *id).collect();
    let mut mine = by_ids::lock_messages(connection, owner, ids).await?.locked;
    let named: std::collections::HashSet<&(i64, i64)> = claims.iter().collect();
    mine.retain(|id, fence| named.contains(&(*id, *fence)));
    let ids: Vec<i64> = mine.keys().copied().collect();
    by_ids::delete_messages(connection, &ids).await?;
    Ok(mine.into_iter().collect())
}
