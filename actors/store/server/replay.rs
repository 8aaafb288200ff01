//! Runs dead letters again, and deletes them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use super::dialect::{self, Connection, NOW_MS};
use super::orders::audit_letters;
use super::tasks;
use crate::clock::now_ms;
use crate::store::dead_letter::{is_cut, uncut};
use crate::store::rows::{LetterOrder, NewTask, Origin, Replay, ReplayTo};
use crate::store::schema::{dead_letter, queue_message};
use crate::store::truncate::readable;
use crate::store::write::{DeletedLetters, Replayed, Written};

/// A letter, as far as its new row is made of it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letter)]
struct Letter {
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    headers: Option<String>,
    first_ms: i64,
}

/// Each letter is locked before it is read: of two who replay it at once, the second one finds it gone.
pub(super) async fn replay(
    connection: &mut Connection,
    letters: &[Replay],
    order: Option<&LetterOrder>,
) -> QueryResult<Written> {
    let mut rows = Vec::with_capacity(letters.len());
    for letter in letters {
        rows.push(replay_one(connection, letter).await?);
    }
    let done = rows.iter().flatten().count();
    let audit = audit_letters(connection, order, "replay", done).await?;
    Ok(Written::Replayed(Replayed { rows, audit }))
}

async fn replay_one(
    connection: &mut Connection,
    Replay { id, to, payload }: &Replay,
) -> QueryResult<Option<i64>> {
    let letter: Option<Letter> = dead_letter::table
        .find(id)
        .select(Letter::as_select())
        .for_update()
        .first(connection)
        .await
        .optional()?;
    let Some(mut letter) = letter else {
        return Ok(None);
    };
    if let Some(payload) = payload {
        letter.payload = payload.to_vec();
        letter.headers = uncut(letter.headers.as_deref());
    }
    if is_cut(letter.headers.as_deref()) {
        log::error!("dead letter {id} cannot run again: only the beginning of its payload is kept");
        return Ok(None);
    }
    diesel::delete(dead_letter::table.find(id))
        .execute(connection)
        .await?;
    let rows = match to {
        ReplayTo::Queue(queue) => insert_message(connection, queue, letter).await?,
        ReplayTo::DelayQueue => insert_task(connection, letter).await?,
    };
    Ok(rows.into_iter().next())
}

/// Attempts begin anew; when it was first seen does not.
async fn insert_message(
    connection: &mut Connection,
    queue: &str,
    letter: Letter,
) -> QueryResult<Vec<i64>> {
    use queue_message::dsl;

    let origin = Origin::of(&letter.kind, &letter.source, &letter.original_id);
    let insert = diesel::insert_into(queue_message::table).values((
        dsl::queue.eq(queue),
        dsl::payload.eq(letter.payload),
        dsl::msg_key.eq(letter.msg_key),
        dsl::headers.eq(letter.headers),
        dsl::due_ms.eq(sql::<BigInt>(NOW_MS)),
        dsl::created_ms.eq(letter.first_ms),
        dsl::origin.eq(origin.as_ref().map(Origin::encode)),
    ));
    Ok(dialect::insert_returning_ids!(
        connection,
        insert,
        dsl::id,
        1
    ))
}

async fn insert_task(connection: &mut Connection, letter: Letter) -> QueryResult<Vec<i64>> {
    let task = NewTask {
        name: letter.name,
        exec_cmd: letter.exec_cmd,
        params: readable(&letter.payload),
        due_ms: now_ms(),
        claimed: false,
        trace: None,
    };
    tasks::insert(connection, &[(&task, "")]).await
}

pub(super) async fn delete(
    connection: &mut Connection,
    ids: &[i64],
    order: Option<&LetterOrder>,
) -> QueryResult<Written> {
    let letters = dead_letter::table.filter(dead_letter::id.eq_any(ids));
    let count = diesel::delete(letters).execute(connection).await?;
    let audit = audit_letters(connection, order, "purge", count).await?;
    Ok(Written::Deleted(DeletedLetters { count, audit }))
}
