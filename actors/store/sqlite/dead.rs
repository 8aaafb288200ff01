//! Makes dead letters of rows, in the transaction that ends them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable};

use crate::clock::now_ms;
use crate::membership::partition_of;
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};
use crate::store::headers::encode;
use crate::store::rows::{EntryName, Origin};
use crate::store::schema::{dead_letter, delay_queue_log, queue_message};
use crate::store::truncate::{ERROR_CHARS, readable, shorten};
use crate::store::write::InsertDeadLetters;

#[derive(Insertable)]
#[diesel(table_name = dead_letter)]
struct NewDeadLetter<'a> {
    kind: &'a str,
    source: &'a str,
    name: &'a str,
    exec_cmd: &'a str,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    headers: Option<String>,
    error: String,
    attempts: i32,
    partition_name: &'a str,
    first_ms: i64,
    died_ms: i64,
}

/// From a row of `delay_queue_log`, which stays.
pub(super) fn from_task(
    connection: &mut SqliteConnection,
    id: i64,
    owner: &str,
    error: &str,
) -> QueryResult<()> {
    use delay_queue_log::dsl;

    type Row = (Vec<u8>, Vec<u8>, Vec<u8>, i32, i64);
    let (name, exec_cmd, params, attempts, exec_time): Row = dsl::delay_queue_log
        .filter(dsl::id.eq(id))
        .select((
            sql::<Binary>("CAST(name AS BLOB)"),
            sql::<Binary>("CAST(exec_cmd AS BLOB)"),
            sql::<Binary>("CAST(params AS BLOB)"),
            dsl::attempts,
            dsl::exec_time,
        ))
        .first(connection)?;
    let (name, exec_cmd) = (readable(&name), readable(&exec_cmd));
    let dead_letter = NewDeadLetter {
        kind: KIND_DELAY,
        source: "delay_queue_log",
        name: &name,
        exec_cmd: &exec_cmd,
        original_id: id.to_string(),
        payload: params,
        msg_key: None,
        headers: None,
        error: shorten(error, ERROR_CHARS),
        attempts,
        partition_name: partition_of(owner),
        first_ms: exec_time.saturating_mul(1000),
        died_ms: now_ms(),
    };
    insert(connection, &dead_letter)
}

/// From a row of `queue_message`, which the caller deletes.
pub(super) fn from_message(
    connection: &mut SqliteConnection,
    id: i64,
    owner: &str,
    entry: &EntryName,
    error: &str,
    attempts: u32,
) -> QueryResult<()> {
    use queue_message::dsl;

    type Row = (
        String,
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        i64,
        Option<Vec<u8>>,
    );
    let (queue, payload, msg_key, headers, created_ms, origin): Row = dsl::queue_message
        .filter(dsl::id.eq(id))
        .select((
            dsl::queue,
            dsl::payload,
            dsl::msg_key,
            sql::<Nullable<Binary>>("CAST(headers AS BLOB)"),
            dsl::created_ms,
            sql::<Nullable<Binary>>("CAST(origin AS BLOB)"),
        ))
        .first(connection)?;
    let origin = Origin::decode(origin.as_deref().map(readable).as_deref());
    let origin = origin.unwrap_or_else(|| Origin {
        kind: KIND_TABLE.to_owned(),
        source: queue,
        id: id.to_string(),
    });
    let dead_letter = NewDeadLetter {
        kind: &origin.kind,
        source: &origin.source,
        name: &entry.name,
        exec_cmd: &entry.exec_cmd,
        original_id: origin.id.clone(),
        payload,
        msg_key,
        headers: headers.as_deref().map(readable),
        error: shorten(error, ERROR_CHARS),
        attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        partition_name: partition_of(owner),
        first_ms: created_ms,
        died_ms: now_ms(),
    };
    insert(connection, &dead_letter)
}

/// Of messages that live elsewhere.
pub(super) fn insert_all(
    connection: &mut SqliteConnection,
    InsertDeadLetters { dead_letters }: &InsertDeadLetters,
) -> QueryResult<()> {
    for dead_letter in dead_letters {
        let row = NewDeadLetter {
            kind: dead_letter.kind,
            source: &dead_letter.source,
            name: &dead_letter.entry.name,
            exec_cmd: &dead_letter.entry.exec_cmd,
            original_id: dead_letter.original_id.clone(),
            payload: dead_letter.payload.to_vec(),
            msg_key: dead_letter.key.as_ref().map(|key| key.to_vec()),
            headers: encode(&dead_letter.headers),
            error: shorten(&dead_letter.error, ERROR_CHARS),
            attempts: i32::try_from(dead_letter.attempts).unwrap_or(i32::MAX),
            partition_name: &dead_letter.partition,
            first_ms: dead_letter.first_ms,
            died_ms: now_ms(),
        };
        insert(connection, &row)?;
    }
    Ok(())
}

fn insert(connection: &mut SqliteConnection, dead_letter: &NewDeadLetter<'_>) -> QueryResult<()> {
    diesel::insert_into(dead_letter::table)
        .values(dead_letter)
        .execute(connection)
        .map(drop)
}
