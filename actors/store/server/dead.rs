//! Makes dead letters of rows, in the transaction that ends them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, NOW_MS};
use super::limits::Limits;
use super::messages;
use super::schema::delay_queue_log;
use crate::membership::partition_of;
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE, cut_mark};
use crate::store::headers::encode;
use crate::store::rows::{EntryName, Origin};
use crate::store::schema::{dead_letter, queue_message};
use crate::store::truncate::{Plain, readable};
use crate::store::write::InsertDeadLetters;

#[derive(Insertable)]
#[diesel(table_name = dead_letter)]
struct NewDeadLetter<'a> {
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
    let limits = connection.limits;
    let dead_letter = NewDeadLetter {
        kind: KIND_DELAY,
        source: "delay_queue_log",
        name: &limits.name(&name),
        exec_cmd: &limits.exec_cmd(&exec_cmd),
        original_id: id.to_string(),
        payload: &params,
        msg_key: None,
        headers: None,
        error: limits.error(error),
        attempts,
        partition_name: partition_of(owner),
        first_ms: exec_time.saturating_mul(1000),
    };
    insert(connection, dead_letter).await
}

/// From a row of `queue_message`, which the caller deletes. The server copies the payload by itself: it may be larger
/// than a message to it.
pub(super) async fn from_message(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    entry: &EntryName,
    error: &str,
    attempts: u32,
) -> QueryResult<()> {
    use queue_message::dsl;

    let row = dsl::queue_message.filter(dsl::id.eq(id));
    let (queue, origin): (String, Option<String>) = row
        .select((dsl::queue, dsl::origin))
        .first(connection)
        .await?;
    let origin = Origin::decode(origin.as_deref()).unwrap_or_else(|| Origin {
        kind: KIND_TABLE.to_owned(),
        source: queue,
        id: id.to_string(),
    });
    let limits = connection.limits;
    let dead_letter = row.select((
        origin.kind.as_str().into_sql::<Text>(),
        limits.name(&origin.source).into_sql::<Text>(),
        limits.name(&entry.name).into_sql::<Text>(),
        limits.exec_cmd(&entry.exec_cmd).into_sql::<Text>(),
        limits.name(&origin.id).into_sql::<Text>(),
        dsl::payload,
        dsl::msg_key,
        dsl::headers,
        limits.error(error).into_sql::<Text>(),
        i32::try_from(attempts)
            .unwrap_or(i32::MAX)
            .into_sql::<Integer>(),
        partition_of(owner).into_sql::<Text>(),
        dsl::created_ms,
        sql::<BigInt>(NOW_MS),
    ));
    diesel::insert_into(dead_letter::table)
        .values(dead_letter)
        .into_columns((
            dead_letter::kind,
            dead_letter::source,
            dead_letter::name,
            dead_letter::exec_cmd,
            dead_letter::original_id,
            dead_letter::payload,
            dead_letter::msg_key,
            dead_letter::headers,
            dead_letter::error,
            dead_letter::attempts,
            dead_letter::partition_name,
            dead_letter::first_ms,
            dead_letter::died_ms,
        ))
        .execute(connection)
        .await
        .map(drop)
}

/// Of messages that live elsewhere. What is larger than a message to the server is kept as far as that goes: else it
/// would be tried again for ever, and hold up what is behind it.
pub(super) async fn insert_all(
    connection: &mut Connection,
    InsertDeadLetters { dead_letters }: &InsertDeadLetters,
) -> QueryResult<()> {
    for dead_letter in dead_letters {
        let mut limits = connection.limits;
        let kept = kept(&limits, dead_letter.payload.len());
        let is_cut = kept < dead_letter.payload.len();
        let (mut error, mut headers) = (dead_letter.error.clone(), encode(&dead_letter.headers));
        if is_cut {
            error = format!(
                "only {kept} of {} bytes of its payload are kept, as the database takes no more: {error}",
                dead_letter.payload.len()
            );
            headers = encode(&[cut_mark(dead_letter.payload.len())]);
            limits.plain = limits.plain.min(Plain::Ascii);
        }
        let row = NewDeadLetter {
            kind: dead_letter.kind,
            source: &limits.name(&dead_letter.source),
            name: &limits.name(&dead_letter.entry.name),
            exec_cmd: &limits.exec_cmd(&dead_letter.entry.exec_cmd),
            original_id: limits.name(&dead_letter.original_id),
            payload: dead_letter.payload.get(..kept).unwrap_or_default(),
            msg_key: dead_letter
                .key
                .as_deref()
                .filter(|key| key.len() <= BYTES_OF_KEY || !is_cut),
            headers,
            error: limits.error(&error),
            attempts: i32::try_from(dead_letter.attempts).unwrap_or(i32::MAX),
            partition_name: &dead_letter.partition,
            first_ms: dead_letter.first_ms,
        };
        insert(connection, row).await?;
    }
    Ok(())
}

/// Beside a payload that is cut a longer key is left out.
const BYTES_OF_KEY: usize = 1 << 10;

/// How much of a payload is kept; less where that was refused.
fn kept(limits: &Limits, bytes: usize) -> usize {
    match limits.plain {
        Plain::Empty => bytes.min(messages::room(limits) / 4),
        _ => bytes.min(messages::room(limits)),
    }
}

async fn insert(connection: &mut Connection, dead_letter: NewDeadLetter<'_>) -> QueryResult<()> {
    let died_ms = dead_letter::died_ms.eq(sql::<BigInt>(NOW_MS));
    diesel::insert_into(dead_letter::table)
        .values((dead_letter, died_ms))
        .execute(connection)
        .await
        .map(drop)
}
