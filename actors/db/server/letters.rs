//! Looking at dead letters.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{Backend, Connection};
use crate::db::rows::{DeadLetter, LetterFilter, LetterHead};
use crate::db::schema::dead_letter::{self as letter, dsl};
use crate::db::views::{Head, Letter};

/// The newest first.
pub(super) async fn newest(
    connection: &mut Connection,
    filter: LetterFilter,
    limit: u32,
) -> QueryResult<Vec<DeadLetter>> {
    let letters: Vec<Letter> = matching(filter)
        .order(dsl::id.desc())
        .limit(i64::from(limit))
        .select(Letter::as_select())
        .load(connection)
        .await?;
    Ok(letters.into_iter().map(DeadLetter::from).collect())
}

/// The oldest first, from above an id on.
pub(super) async fn heads(
    connection: &mut Connection,
    filter: LetterFilter,
    above: i64,
    limit: u32,
) -> QueryResult<Vec<LetterHead>> {
    let heads: Vec<Head> = matching(filter)
        .filter(dsl::id.gt(above))
        .order(dsl::id)
        .limit(i64::from(limit))
        .select(Head::as_select())
        .load(connection)
        .await?;
    Ok(heads.into_iter().map(LetterHead::from).collect())
}

fn matching(filter: LetterFilter) -> letter::BoxedQuery<'static, Backend> {
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
