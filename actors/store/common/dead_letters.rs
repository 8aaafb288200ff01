//! Reading dead letters.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::dialect::{Backend, Connection, RunQueryDsl};
use crate::state::{DeadLettersOf, MOST_SOURCES, SOURCE_CAP};
use crate::store::rows::{DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, Side};
use crate::store::schema::dead_letter::{self as dead_letter, dsl};
use crate::store::views::{DeadLetterRow, Head};

/// The newest first.
pub(in crate::store) async fn newest(
    connection: &mut Connection,
    filter: DeadLetterFilter,
    limit: u32,
) -> QueryResult<Vec<DeadLetter>> {
    let dead_letters: Vec<DeadLetterRow> = matching(filter)
        .order(dsl::id.desc())
        .limit(i64::from(limit))
        .select(DeadLetterRow::as_select())
        .load(connection)
        .await?;
    Ok(dead_letters.into_iter().map(DeadLetter::from).collect())
}

/// The oldest first, from above an id on.
pub(in crate::store) async fn heads(
    connection: &mut Connection,
    filter: DeadLetterFilter,
    above: i64,
    limit: u32,
) -> QueryResult<Vec<DeadLetterHead>> {
    let heads: Vec<Head> = matching(filter)
        .filter(dsl::id.gt(above))
        .order(dsl::id)
        .limit(i64::from(limit))
        .select(Head::as_select())
        .load(connection)
        .await?;
    Ok(heads.into_iter().map(DeadLetterHead::from).collect())
}

/// No more dead letters than that are read: they are found by the primary key. The statement has their order and a limit,
/// though what it reads is known: PostgreSQL without statistics of a young table expects a third of it above any id, and
/// would read it all.
pub(in crate::store) async fn scan(
    connection: &mut Connection,
    side: Side,
    dead_letters: u32,
) -> QueryResult<DeadLetterScan> {
    let ids = dead_letter::table.select(dsl::id).into_boxed();
    let ids = match side {
        Side::Newest => ids.order(dsl::id.desc()),
        Side::Oldest => ids.order(dsl::id.asc()),
    };
    let beyond = ids
        .offset(i64::from(dead_letters))
        .limit(1)
        .first(connection);
    let beyond: Option<i64> = beyond.await.optional()?;
    let is_all = beyond.is_none();
    let query = dead_letter::table.select(Head::as_select()).into_boxed();
    let most = i64::from(dead_letters);
    let query = match (side, beyond) {
        (_, None) => query,
        (Side::Newest, Some(beyond)) => query
            .filter(dsl::id.gt(beyond))
            .order(dsl::id.desc())
            .limit(most),
        (Side::Oldest, Some(beyond)) => query
            .filter(dsl::id.lt(beyond))
            .order(dsl::id.asc())
            .limit(most),
    };
    let heads: Vec<Head> = query.load(connection).await?;
    let dead_letters = heads.into_iter().map(DeadLetterHead::from).collect();
    Ok(DeadLetterScan {
        dead_letters,
        is_all,
    })
}

/// One source after the other, each found behind the one before it: all by the index of kind, source and id. Of each no more
/// rows are counted than the cap.
pub(in crate::store) async fn sources(
    connection: &mut Connection,
) -> QueryResult<Vec<DeadLettersOf>> {
    let mut found: Vec<DeadLettersOf> = Vec::new();
    while found.len() < MOST_SOURCES {
        let places = || {
            dead_letter::table
                .select((dsl::kind, dsl::source))
                .order((dsl::kind, dsl::source))
        };
        let next: Option<(String, String)> = match found.last() {
            None => places().first(connection).await.optional()?,
            Some(last) => {
                let of_kind = places()
                    .filter(dsl::kind.eq(&last.kind))
                    .filter(dsl::source.gt(&last.source));
                match of_kind.first(connection).await.optional()? {
                    Some(next) => Some(next),
                    None => places()
                        .filter(dsl::kind.gt(&last.kind))
                        .first(connection)
                        .await
                        .optional()?,
                }
            }
        };
        let Some((kind, source)) = next else {
            break;
        };
        let its = || {
            dead_letter::table
                .filter(dsl::kind.eq(&kind))
                .filter(dsl::source.eq(&source))
        };
        let cap = i64::try_from(SOURCE_CAP + 1).unwrap_or(i64::MAX);
        let ids: Vec<i64> = its()
            .select(dsl::id)
            .order(dsl::id.desc())
            .limit(cap)
            .load(connection)
            .await?;
        // They may be replayed or purged meanwhile: then there are none, and the next source is looked for behind this one.
        let name: Option<String> = match ids.as_slice().first() {
            Some(newest) => dead_letter::table
                .find(*newest)
                .select(dsl::name)
                .first(connection)
                .await
                .optional()?,
            None => None,
        };
        let (count, name) = (
            u64::try_from(ids.len()).unwrap_or(u64::MAX),
            name.unwrap_or_default(),
        );
        found.push(DeadLettersOf {
            kind,
            source,
            name,
            count,
        });
    }
    found.retain(|of| of.count > 0);
    Ok(found)
}

fn matching(filter: DeadLetterFilter) -> dead_letter::BoxedQuery<'static, Backend> {
    let mut query = dead_letter::table.into_boxed();
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
    if let Some(source) = filter.source {
        query = query.filter(dsl::source.eq(source));
    }
    if let Some(pattern) = filter.error_like {
        let like = sql::<Bool>("error LIKE ").bind::<Text, _>(pattern);
        query = query.filter(like.sql(" ESCAPE '!'"));
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
