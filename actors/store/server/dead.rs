//! Makes dead letters of messages, in the transaction that ends them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, NOW_MS};
use crate::membership::partition_of;
use crate::store::dead_letter::KIND_TABLE;
use crate::store::rows::{EntryName, Origin};
use crate::store::schema::{dead_letter, queue_message};

/// From a row of `queue_message`, which the caller deletes. The server copies the payload by itself: it may be larger
/// than a message to it.
pub(in crate::store) async fn from_message(
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
