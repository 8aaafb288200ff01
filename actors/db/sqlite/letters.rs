//! Looking at dead letters.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;

use super::headers;
use crate::db::rows::{DeadLetter, LetterFilter, LetterHead};
use crate::db::schema::dead_letter::{self as letter, dsl};

/// The newest first.
pub(super) fn newest(
    connection: &mut SqliteConnection,
    filter: LetterFilter,
    limit: u32,
) -> QueryResult<Vec<DeadLetter>> {
    let letters: Vec<Letter> = matching(filter)
        .order(dsl::id.desc())
        .limit(i64::from(limit))
        .select(Letter::as_select())
        .load(connection)?;
    Ok(letters.into_iter().map(DeadLetter::from).collect())
}

/// The oldest first, from above an id on.
pub(super) fn heads(
    connection: &mut SqliteConnection,
    filter: LetterFilter,
    above: i64,
    limit: u32,
) -> QueryResult<Vec<LetterHead>> {
    let heads: Vec<Head> = matching(filter)
        .filter(dsl::id.gt(above))
        .order(dsl::id)
        .limit(i64::from(limit))
        .select(Head::as_select())
        .load(connection)?;
    Ok(heads.into_iter().map(LetterHead::from).collect())
}

fn matching(filter: LetterFilter) -> letter::BoxedQuery<'static, Sqlite> {
    let mut query = letter::table.into_boxed();
    let pattern = filter.error_pattern();
    if !filter.ids.is_empty() {
        query = query.filter(dsl::id.eq_any(filter.ids));
    }
    if let Some(name) = filter.name {
        query = query.filter(dsl::name.eq(name));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(dsl::kind.eq(kind));
    }
    if let Some(exec_cmd) = filter.exec_cmd {
        query = query.filter(dsl::exec_cmd.eq(exec_cmd));
    }
    if let Some(since_ms) = filter.since_ms {
        query = query.filter(dsl::died_ms.ge(since_ms));
    }
    if let Some(until_ms) = filter.until_ms {
        query = query.filter(dsl::died_ms.lt(until_ms));
    }
    if let Some(pattern) = pattern {
        let like = sql::<Bool>("lower(error) LIKE lower(").bind::<Text, _>(pattern);
        query = query.filter(like.sql(") ESCAPE '!'"));
    }
    query
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = letter)]
struct Letter {
    id: i64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    original_id: String,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    headers: Option<String>,
    error: String,
    attempts: i32,
    partition_name: String,
    first_ms: i64,
    died_ms: i64,
}

impl From<Letter> for DeadLetter {
    fn from(row: Letter) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            source: row.source,
            name: row.name,
            exec_cmd: row.exec_cmd,
            original_id: row.original_id,
            payload: row.payload,
            key: row.msg_key,
            headers: headers::decode(row.headers.as_deref()),
            error: row.error,
            attempts: row.attempts,
            partition: row.partition_name,
            first_ms: row.first_ms,
            died_ms: row.died_ms,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = letter)]
struct Head {
    id: i64,
    kind: String,
    source: String,
    name: String,
    exec_cmd: String,
    partition_name: String,
}

impl From<Head> for LetterHead {
    fn from(row: Head) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            source: row.source,
            name: row.name,
            exec_cmd: row.exec_cmd,
            partition: row.partition_name,
        }
    }
}
