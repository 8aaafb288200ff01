//! Makes dead letters of messages, in the transaction that ends them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Nullable};

use super::common::dead::{NewDeadLetter, insert};
use super::connection::{Connection, RunQueryDsl};
use crate::membership::partition_of;
use crate::store::dead_letter::KIND_TABLE;
use crate::store::rows::{EntryName, Origin};
use crate::store::schema::queue_message;
use crate::store::truncate::readable;

/// From a row of `queue_message`, which the caller deletes. Texts go through this process, as they may be no UTF-8.
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
        .first(connection)
        .await?;
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
        payload: &payload,
        msg_key: msg_key.as_deref(),
        headers: headers.as_deref().map(readable),
        error: connection.limits.error(error),
        attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        partition_name: partition_of(owner),
        first_ms: created_ms,
    };
    insert(connection, dead_letter).await
}
