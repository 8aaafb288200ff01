//! Makes dead letters of rows, in the transaction that ends them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, NOW_MS};
use super::messages;
use super::schema::delay_queue_log;
use crate::db::headers::encode;
use crate::db::letters::{KIND_DELAY, KIND_TABLE};
use crate::db::rows::{EntryName, NewLetter as Given, Origin};
use crate::db::schema::{dead_letter, queue_message};
use crate::db::text::{ERROR_CHARS, readable, shorten};
use crate::db::write::Written;
use crate::identity::partition_of;

#[derive(Insertable)]
#[diesel(table_name = dead_letter)]
struct NewLetter<'a> {
    kind: &'a str,
    source: &'a str,
    name: &'a str,
    exec_cmd: &'a str,
    original_id: String,
    payload: &'a [u8],
    msg_key: Option<&'a [u8]>,
    headers: Option<String>,
    error: String,
    attempts: i32,
    partition_name: &'a str,
    first_ms: i64,
}

/// From a row of `delay_queue_log`, which stays.
pub(super) async fn from_task(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    error: &str,
) -> QueryResult<()> {
    use delay_queue_log::dsl;

    // As bytes: another program may have put anything there.
    type Row = (Bytes, Bytes, Bytes, i32, i64);
    type Bytes = Option<Vec<u8>>;
    let (name, exec_cmd, params, attempts, exec_time): Row = dsl::delay_queue_log
        .filter(dsl::id.eq(id))
        .select((
            sql::<Nullable<Binary>>("name"),
            sql::<Nullable<Binary>>("exec_cmd"),
            sql::<Nullable<Binary>>("params"),
            dsl::attempts,
            dsl::exec_time,
        ))
        .first(connection)
        .await?;
    let text = |bytes: Bytes| readable(&bytes.unwrap_or_default());
    let (name, exec_cmd, params) = (text(name), text(exec_cmd), params.unwrap_or_default());
    let letter = NewLetter {
        kind: KIND_DELAY,
        source: "delay_queue_log",
        name: &name,
        exec_cmd: &exec_cmd,
        original_id: id.to_string(),
        payload: &params,
        msg_key: None,
        headers: None,
        error: shorten(error, ERROR_CHARS),
        attempts,
        partition_name: partition_of(owner),
        first_ms: exec_time.saturating_mul(1000),
    };
    insert(connection, letter).await
}

/// From a row of `queue_message`, which the caller deletes.
pub(super) async fn from_message(
    connection: &mut Connection,
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
        Option<String>,
        i64,
        Option<String>,
    );
    let (queue, payload, msg_key, headers, created_ms, origin): Row = dsl::queue_message
        .filter(dsl::id.eq(id))
        .select((
            dsl::queue,
            dsl::payload,
            dsl::msg_key,
            dsl::headers,
            dsl::created_ms,
            dsl::origin,
        ))
        .first(connection)
        .await?;
    let origin = Origin::decode(origin.as_deref()).unwrap_or_else(|| Origin {
        kind: KIND_TABLE.to_owned(),
        source: queue,
        id: id.to_string(),
    });
    let letter = NewLetter {
        kind: &origin.kind,
        source: &origin.source,
        name: &entry.name,
        exec_cmd: &entry.exec_cmd,
        original_id: origin.id.clone(),
        payload: &payload,
        msg_key: msg_key.as_deref(),
        headers,
        error: shorten(error, ERROR_CHARS),
        attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        partition_name: partition_of(owner),
        first_ms: created_ms,
    };
    insert(connection, letter).await
}

/// Of messages that live elsewhere.
pub(super) async fn insert_all(
    connection: &mut Connection,
    letters: &[Given],
) -> QueryResult<Written> {
    for letter in letters {
        messages::refuse_too_large(connection, letter.payload.len()).await?;
        let row = NewLetter {
            kind: letter.kind,
            source: &letter.source,
            name: &letter.entry.name,
            exec_cmd: &letter.entry.exec_cmd,
            original_id: letter.original_id.clone(),
            payload: &letter.payload,
            msg_key: letter.key.as_deref(),
            headers: encode(&letter.headers),
            error: shorten(&letter.error, ERROR_CHARS),
            attempts: i32::try_from(letter.attempts).unwrap_or(i32::MAX),
            partition_name: &letter.partition,
            first_ms: letter.first_ms,
        };
        insert(connection, row).await?;
    }
    Ok(Written::Nothing)
}

async fn insert(connection: &mut Connection, letter: NewLetter<'_>) -> QueryResult<()> {
    let died_ms = dead_letter::died_ms.eq(sql::<BigInt>(NOW_MS));
    diesel::insert_into(dead_letter::table)
        .values((letter, died_ms))
        .execute(connection)
        .await
        .map(drop)
}
