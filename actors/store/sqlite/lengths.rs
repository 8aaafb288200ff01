//! How many rows a claim may take: their lengths are read before their values.

use diesel::prelude::*;
use diesel::query_dsl::LoadQuery;
use diesel::sql_types::BigInt;

use super::connection::{Connection, RunQueryDsl};
use crate::store::write::Most;

#[derive(QueryableByName)]
pub(super) struct Length {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// How many of the rows fit, in the order in which this query returns their `bytes`.
pub(super) async fn fitting<'query>(
    connection: &mut Connection,
    lengths: impl RunQueryDsl + LoadQuery<'query, SqliteConnection, Length>,
    most: Most,
) -> QueryResult<i64> {
    let lengths: Vec<Length> = RunQueryDsl::load(lengths, connection).await?;
    let fitting = most.fitting(lengths.iter().map(|length| length.bytes));
    Ok(i64::try_from(fitting).unwrap_or(i64::MAX))
}
