//! Runs dead letters again, and deletes them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable};

use super::orders::audit_dead_letters;
use super::tasks;
use crate::clock::now_ms;
use crate::store::rows::{NewTask, Origin, Replay, ReplayTo};
use crate::store::schema::{dead_letter, queue_message};
use crate::store::truncate::readable;
use crate::store::write::{DeleteDeadLetters, DeletedDeadLetters, ReplayDeadLetters, Replayed};

/// A dead letter, as far as its new row is made of it.
struct DeadLetter {
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    headers: Option<Vec<u8>>,
    first_ms: i64,
}

/// In one transaction, which holds the write lock from its beginning: of two who replay a dead letter at once, the
/// second one finds it gone.
pub(super) fn replay(
    connection: &mut SqliteConnection,
    ReplayDeadLetters {
        dead_letters,
        order,
    }: &ReplayDeadLetters,
) -> QueryResult<Replayed> {
    let one = |dead_letter: &Replay| replay_one(connection, dead_letter);
    let rows: QueryResult<Vec<Option<i64>>> = dead_letters.iter().map(one).collect();
    let rows = rows?;
    let done = rows.iter().flatten().count();
    let audit = audit_dead_letters(connection, order.as_ref(), "replay", done)?;
    Ok(Replayed { rows, audit })
}

fn replay_one(
    connection: &mut SqliteConnection,
    Replay { id, to, payload }: &Replay,
) -> QueryResult<Option<i64>> {
    let Some(mut dead_letter) = read(connection, *id)? else {
        return Ok(None);
    };
    if let Some(payload) = payload {
        dead_letter.payload = payload.to_vec();
    }
    diesel::delete(dead_letter::table.filter(dead_letter::id.eq(id))).execute(connection)?;
    let row = match to {
        ReplayTo::Queue(queue) => insert_message(connection, queue, dead_letter)?,
        ReplayTo::DelayQueue => insert_task(connection, dead_letter)?,
    };
    Ok(Some(row))
}

fn read(connection: &mut SqliteConnection, id: i64) -> QueryResult<Option<DeadLetter>> {
    use dead_letter::dsl;

    type Row = (
        String,
        String,
        String,
        String,
        String,
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        i64,
    );
    let row: Option<Row> = dsl::dead_letter
        .filter(dsl::id.eq(id))
        .select((
            dsl::kind,
            dsl::source,
            dsl::name,
            dsl::exec_cmd,
            dsl::original_id,
            dsl::payload,
            dsl::msg_key,
            sql::<Nullable<Binary>>("CAST(headers AS BLOB)"),
            dsl::first_ms,
        ))
        .first(connection)
        .optional()?;
    Ok(row.map(
        |(kind, source, name, exec_cmd, original_id, payload, msg_key, headers, first_ms)| {
            DeadLetter {
                kind,
                source,
                name,
                exec_cmd,
                original_id,
                payload,
                msg_key,
                headers,
                first_ms,
            }
        },
    ))
}

/// Its attempts are 0 again. `created_ms` is the time when the message was first seen, not that of the replay.
fn insert_message(
    connection: &mut SqliteConnection,
    queue: &str,
    dead_letter: DeadLetter,
) -> QueryResult<i64> {
    use queue_message::dsl;

    let origin = Origin::of(
        &dead_letter.kind,
        &dead_letter.source,
        &dead_letter.original_id,
    );
    diesel::insert_into(queue_message::table)
        .values((
            dsl::queue.eq(queue),
            dsl::payload.eq(dead_letter.payload),
            dsl::msg_key.eq(dead_letter.msg_key),
            dsl::headers.eq(dead_letter.headers.as_deref().map(readable)),
            dsl::due_ms.eq(now_ms()),
            dsl::created_ms.eq(dead_letter.first_ms),
            dsl::origin.eq(origin.as_ref().map(Origin::encode)),
        ))
        .returning(dsl::id)
        .get_result(connection)
}

fn insert_task(connection: &mut SqliteConnection, dead_letter: DeadLetter) -> QueryResult<i64> {
    let task = NewTask {
        name: dead_letter.name,
        exec_cmd: dead_letter.exec_cmd,
        params: readable(&dead_letter.payload),
        due_ms: now_ms(),
        claimed: false,
        trace: None,
    };
    tasks::insert_one(connection, &task, "")
}

pub(super) fn delete(
    connection: &mut SqliteConnection,
    DeleteDeadLetters { ids, order }: &DeleteDeadLetters,
) -> QueryResult<DeletedDeadLetters> {
    let dead_letters = dead_letter::table.filter(dead_letter::id.eq_any(ids));
    let count = diesel::delete(dead_letters).execute(connection)?;
    let audit = audit_dead_letters(connection, order.as_ref(), "purge", count)?;
    Ok(DeletedDeadLetters { count, audit })
}
