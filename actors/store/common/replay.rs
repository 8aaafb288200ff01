//! Runs dead letters again, and deletes them.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable};

use super::dialect::{self, Connection, HEADERS, RunQueryDsl, now};
use super::orders::audit_dead_letters;
use crate::clock::now_ms;
use crate::store::dead_letter::{is_cut, uncut};
use crate::store::rows::{NewTask, Origin, Replay, ReplayTo};
use crate::store::schema::{dead_letter, queue_message};
use crate::store::truncate::readable;
use crate::store::write::{DeleteDeadLetters, DeletedDeadLetters, ReplayDeadLetters, Replayed};

/// A dead letter, as far as its new row is made of it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letter)]
struct DeadLetter {
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    /// As bytes: another program may have put anything there.
    #[diesel(select_expression = sql::<Nullable<Binary>>(HEADERS))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Binary>>)]
    headers: Option<Vec<u8>>,
    first_ms: i64,
}

/// Each dead letter is locked before it is read: of two who replay it at once, the second one finds it gone.
pub(in crate::store) async fn replay(
    connection: &mut Connection,
    ReplayDeadLetters {
        dead_letters,
        order,
    }: &ReplayDeadLetters,
) -> QueryResult<Replayed> {
    let mut rows = Vec::with_capacity(dead_letters.len());
    for dead_letter in dead_letters {
        rows.push(replay_one(connection, dead_letter).await?);
    }
    let done = rows.iter().flatten().count();
    let audit = audit_dead_letters(connection, order.as_ref(), "replay", done).await?;
    Ok(Replayed { rows, audit })
}

async fn replay_one(
    connection: &mut Connection,
    Replay { id, to, payload }: &Replay,
) -> QueryResult<Option<i64>> {
    let dead_letter: Option<DeadLetter> =
        dialect::for_update!(dead_letter::table.find(id).select(DeadLetter::as_select()))
            .first(connection)
            .await
            .optional()?;
    let Some(mut dead_letter) = dead_letter else {
        return Ok(None);
    };
    let mut headers = dead_letter.headers.as_deref().map(readable);
    if let Some(payload) = payload {
        dead_letter.payload = payload.to_vec();
        headers = uncut(headers.as_deref());
    }
    if is_cut(headers.as_deref()) {
        log::error!("dead letter {id} cannot run again: only the beginning of its payload is kept");
        return Ok(None);
    }
    diesel::delete(dead_letter::table.find(id))
        .execute(connection)
        .await?;
    let rows = match to {
        ReplayTo::Queue(queue) => insert_message(connection, queue, dead_letter, headers).await?,
        ReplayTo::DelayQueue => insert_task(connection, dead_letter).await?,
    };
    Ok(rows.into_iter().next())
}

/// Its attempts are 0 again. `created_ms` is the time when the message was first seen, not that of the replay.
async fn insert_message(
    connection: &mut Connection,
    queue: &str,
    dead_letter: DeadLetter,
    headers: Option<String>,
) -> QueryResult<Vec<i64>> {
    use queue_message::dsl;

    let origin = Origin::of(
        &dead_letter.kind,
        &dead_letter.source,
        &dead_letter.original_id,
    );
    let insert = diesel::insert_into(queue_message::table).values((
        dsl::queue.eq(queue),
        dsl::payload.eq(dead_letter.payload),
        dsl::msg_key.eq(dead_letter.msg_key),
        dsl::headers.eq(headers),
        dsl::due_ms.eq(now()),
        dsl::created_ms.eq(dead_letter.first_ms),
        dsl::origin.eq(origin.as_ref().map(Origin::encode)),
    ));
    Ok(dialect::insert_returning_ids!(
        connection,
        insert,
        dsl::id,
        1
    ))
}

async fn insert_task(
    connection: &mut Connection,
    dead_letter: DeadLetter,
) -> QueryResult<Vec<i64>> {
    let task = NewTask {
        name: dead_letter.name,
        exec_cmd: dead_letter.exec_cmd,
        params: readable(&dead_letter.payload),
        due_ms: now_ms(),
        claimed: false,
        trace: None,
    };
    dialect::tasks::insert(connection, &[(&task, "")]).await
}

pub(in crate::store) async fn delete(
    connection: &mut Connection,
    DeleteDeadLetters { ids, order }: &DeleteDeadLetters,
) -> QueryResult<DeletedDeadLetters> {
    let dead_letters = dead_letter::table.filter(dead_letter::id.eq_any(ids));
    let count = diesel::delete(dead_letters).execute(connection).await?;
    let audit = audit_dead_letters(connection, order.as_ref(), "purge", count).await?;
    Ok(DeletedDeadLetters { count, audit })
}
