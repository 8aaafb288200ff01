//! Makes dead letters, in the transaction that ends what they were.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::dialect::{Connection, RunQueryDsl, WORDS, delay_queue_log, now};
use crate::membership::partition_of;
use crate::store::dead_letter::{KIND_DELAY, cut_mark};
use crate::store::headers::encode;
use crate::store::schema::dead_letter;
use crate::store::truncate::readable;
use crate::store::write::InsertDeadLetters;

#[derive(Insertable)]
#[diesel(table_name = dead_letter)]
pub(in crate::store) struct NewDeadLetter<'a> {
    pub(in crate::store) kind: &'a str,
    pub(in crate::store) source: &'a str,
    pub(in crate::store) name: &'a str,
    pub(in crate::store) exec_cmd: &'a str,
    pub(in crate::store) original_id: String,
    pub(in crate::store) payload: &'a [u8],
    pub(in crate::store) msg_key: Option<&'a [u8]>,
    pub(in crate::store) headers: Option<String>,
    pub(in crate::store) error: String,
    pub(in crate::store) attempts: i32,
    pub(in crate::store) partition_name: &'a str,
    pub(in crate::store) first_ms: i64,
}

/// From a row of `delay_queue_log`, which stays.
pub(in crate::store) async fn from_task(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    error: &str,
) -> QueryResult<()> {
    use delay_queue_log::dsl;

    // As bytes: another program may have put anything there.
    let bytes = |column| sql::<Binary>(&(WORDS.bytes)(column));
    let (name, exec_cmd, params, attempts, exec_time): (Vec<u8>, Vec<u8>, Vec<u8>, i32, i64) =
        dsl::delay_queue_log
            .filter(dsl::id.eq(id))
            .select((
                bytes("name"),
                bytes("exec_cmd"),
                bytes("params"),
                dsl::attempts,
                dsl::exec_time,
            ))
            .first(connection)
            .await?;
    let limits = connection.limits;
    let dead_letter = NewDeadLetter {
        kind: KIND_DELAY,
        source: "delay_queue_log",
        name: &limits.name(&readable(&name)),
        exec_cmd: &limits.exec_cmd(&readable(&exec_cmd)),
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

/// Of messages that live elsewhere. What is larger than a message to the server is kept as far as that goes: else it
/// would be tried again for ever, and hold up what is behind it.
pub(in crate::store) async fn insert_all(
    connection: &mut Connection,
    InsertDeadLetters { dead_letters }: &InsertDeadLetters,
) -> QueryResult<()> {
    for dead_letter in dead_letters {
        let mut limits = connection.limits;
        let bytes = dead_letter.payload.len();
        let kept = limits.kept(bytes);
        let is_cut = kept < bytes;
        let (mut error, mut headers) = (dead_letter.error.clone(), encode(&dead_letter.headers));
        if is_cut {
            error = format!(
                "only {kept} of {bytes} bytes of its payload are kept, as the database takes no more: {error}"
            );
            headers = encode(&[cut_mark(bytes)]);
            limits = limits.with_words();
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

pub(in crate::store) async fn insert(
    connection: &mut Connection,
    dead_letter: NewDeadLetter<'_>,
) -> QueryResult<()> {
    let died_ms = dead_letter::died_ms.eq(now());
    diesel::insert_into(dead_letter::table)
        .values((dead_letter, died_ms))
        .execute(connection)
        .await
        .map(drop)
}
