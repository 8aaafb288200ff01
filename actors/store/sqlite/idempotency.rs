//! The statements of idempotency keys. See `store/idempotency.rs`. All in transactions that have the write lock from
//! their beginning: no other transaction inserts a key between the read and the insert.

use diesel::prelude::*;

use super::{messages, tasks};
use crate::clock::now_ms;
use crate::store::idempotency::{
    CLAIMED, DONE, KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert, KeyedRows, KnownKey, merged,
    without_id,
};
use crate::store::schema::idempotency_key::{self as keys, dsl};
use crate::store::write::{EndKey, TRIM_ROWS, TrimKeys};

/// Keys in one question: a statement takes at most 32,766 values.
const IN_ONE_QUESTION: usize = 500;

pub(super) fn insert(
    connection: &mut SqliteConnection,
    insert: &KeyedInsert,
) -> QueryResult<Keyed> {
    let mut known = Vec::new();
    for names in insert.key_names().chunks(IN_ONE_QUESTION) {
        let some: Vec<KnownKey> = keys::table
            .filter(dsl::key_name.eq_any(names))
            .select(KnownKey::as_select())
            .load(connection)?;
        known.extend(some);
    }
    let before = match insert.ids_before(&known) {
        Ok(before) => before,
        Err(difference) => return Ok(Keyed::Differs(difference)),
    };
    let new_ids: QueryResult<Vec<i64>> = match &insert.rows {
        KeyedRows::Tasks { rows, owner } => without_id(rows, &before)
            .into_iter()
            .map(|row| tasks::insert_one(connection, row, owner))
            .collect(),
        KeyedRows::Messages { queue, rows } => without_id(rows, &before)
            .into_iter()
            .map(|row| messages::insert_one(connection, queue, row))
            .collect(),
    };
    let rows = merged(&before, new_ids?);
    let now = now_ms();
    for (key, content, id) in insert.made(&rows) {
        diesel::insert_into(keys::table)
            .values((
                dsl::key_name.eq(key),
                dsl::content.eq(content),
                dsl::row_id.eq(id),
                dsl::state.eq(DONE),
                dsl::created_ms.eq(now),
            ))
            .execute(connection)?;
    }
    Ok(Keyed::Rows(rows))
}

pub(super) fn claim(
    connection: &mut SqliteConnection,
    claim: &KeyClaim,
) -> QueryResult<KeyClaimed> {
    let this = keys::table.filter(dsl::key_name.eq(&claim.key.key));
    let known: Option<KnownKey> = this
        .select(KnownKey::as_select())
        .first(connection)
        .optional()?;
    let now = now_ms();
    let claimed = match known {
        Some(known) => {
            let claimed = claim.of(&known, now);
            if matches!(claimed, KeyClaimed::Ours { .. }) {
                diesel::update(this)
                    .set((dsl::owner.eq(&claim.owner), dsl::claimed_ms.eq(now)))
                    .execute(connection)?;
            }
            claimed
        }
        None => {
            diesel::insert_into(keys::table)
                .values((
                    dsl::key_name.eq(&claim.key.key),
                    dsl::content.eq(claim.content()),
                    dsl::state.eq(CLAIMED),
                    dsl::owner.eq(&claim.owner),
                    dsl::claimed_ms.eq(now),
                    dsl::created_ms.eq(now),
                ))
                .execute(connection)?;
            KeyClaimed::Ours { again: false }
        }
    };
    Ok(claimed)
}

pub(super) fn end(
    connection: &mut SqliteConnection,
    EndKey { key, owner, end }: &EndKey,
) -> QueryResult<()> {
    let this = keys::table
        .filter(dsl::key_name.eq(key))
        .filter(dsl::owner.eq(owner));
    match end {
        KeyEnd::Sent => diesel::update(this)
            .set((dsl::state.eq(DONE), dsl::owner.eq("")))
            .execute(connection)?,
        KeyEnd::InDoubt => diesel::update(this)
            .set(dsl::owner.eq(""))
            .execute(connection)?,
        KeyEnd::Unsent => diesel::delete(this).execute(connection)?,
    };
    Ok(())
}

/// `idx_idempotency_key_created` finds them.
pub(super) fn trim(
    connection: &mut SqliteConnection,
    &TrimKeys { before_ms }: &TrimKeys,
) -> QueryResult<usize> {
    let old: Vec<String> = keys::table
        .filter(dsl::created_ms.lt(before_ms))
        .order(dsl::created_ms)
        .select(dsl::key_name)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    diesel::delete(keys::table.filter(dsl::key_name.eq_any(old))).execute(connection)
}
