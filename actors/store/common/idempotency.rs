//! The statements of idempotency keys. See `store/idempotency.rs`.

use diesel::prelude::*;

use super::IN_ONE_STATEMENT;
use super::dialect::{self, Connection, RunQueryDsl, now};
use crate::store::idempotency::{
    CLAIMED, DONE, KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert, KeyedRows, KnownKey, merged,
    without_id,
};
use crate::store::schema::idempotency_key::{self as keys, dsl};
use crate::store::write::{EndKey, TRIM_ROWS, TrimKeys};

/// A key that another transaction has inserted in the meantime fails with its primary key, and the whole transaction is tried
/// again: then it is among the known ones.
pub(in crate::store) async fn insert(
    connection: &mut Connection,
    insert: &KeyedInsert,
) -> QueryResult<Keyed> {
    let mut known = Vec::new();
    for names in insert.key_names().chunks(IN_ONE_STATEMENT) {
        let some: Vec<KnownKey> = keys::table
            .filter(dsl::key_name.eq_any(names))
            .select(KnownKey::as_select())
            .load(connection)
            .await?;
        known.extend(some);
    }
    let before = match insert.ids_before(&known) {
        Ok(before) => before,
        Err(difference) => return Ok(Keyed::Differs(difference)),
    };
    let new_ids = match &insert.rows {
        KeyedRows::Tasks { rows, owner } => {
            let rows: Vec<_> = without_id(rows, &before)
                .into_iter()
                .map(|row| (row, owner.as_str()))
                .collect();
            dialect::tasks::insert(connection, &rows).await?
        }
        KeyedRows::Messages { queue, rows } => {
            let rows: Vec<_> = without_id(rows, &before)
                .into_iter()
                .map(|row| (row, queue.as_str()))
                .collect();
            dialect::messages::insert(connection, &rows).await?
        }
    };
    let rows = merged(&before, new_ids);
    for made in insert.made(&rows).chunks(IN_ONE_STATEMENT) {
        let values: Vec<_> = made
            .iter()
            .map(|(key, content, id)| {
                (
                    dsl::key_name.eq(*key),
                    dsl::content.eq(*content),
                    dsl::row_id.eq(*id),
                    dsl::state.eq(DONE),
                    dsl::created_ms.eq(now()),
                )
            })
            .collect();
        dialect::insert_rows!(connection, keys::table, values);
    }
    Ok(Keyed::Rows(rows))
}

/// The row is locked until the transaction ends: of two attempts at once one sends.
pub(in crate::store) async fn claim(
    connection: &mut Connection,
    claim: &KeyClaim,
) -> QueryResult<KeyClaimed> {
    let this = keys::table.filter(dsl::key_name.eq(&claim.key.key));
    let known: Option<KnownKey> = dialect::for_update!(this.select(KnownKey::as_select()))
        .first(connection)
        .await
        .optional()?;
    let claimed = match known {
        Some(known) => {
            let now: i64 = dialect::clock_ms(connection).await?;
            let claimed = claim.of(&known, now);
            if matches!(claimed, KeyClaimed::Ours { .. }) {
                diesel::update(this)
                    .set((dsl::owner.eq(&claim.owner), dsl::claimed_ms.eq(now)))
                    .execute(connection)
                    .await?;
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
                    dsl::claimed_ms.eq(now()),
                    dsl::created_ms.eq(now()),
                ))
                .execute(connection)
                .await?;
            KeyClaimed::Ours { again: false }
        }
    };
    Ok(claimed)
}

pub(in crate::store) async fn end(
    connection: &mut Connection,
    EndKey { key, owner, end }: &EndKey,
) -> QueryResult<()> {
    let this = keys::table
        .filter(dsl::key_name.eq(key))
        .filter(dsl::owner.eq(owner));
    match end {
        KeyEnd::Sent => {
            diesel::update(this)
                .set((dsl::state.eq(DONE), dsl::owner.eq("")))
                .execute(connection)
                .await?
        }
        KeyEnd::InDoubt => {
            diesel::update(this)
                .set(dsl::owner.eq(""))
                .execute(connection)
                .await?
        }
        KeyEnd::Unsent => diesel::delete(this).execute(connection).await?,
    };
    Ok(())
}

/// `idx_idempotency_key_created` finds them.
pub(in crate::store) async fn trim(
    connection: &mut Connection,
    &TrimKeys { before_ms }: &TrimKeys,
) -> QueryResult<usize> {
    let old: Vec<String> = dialect::for_update_skip_locked!(
        keys::table
            .filter(dsl::created_ms.lt(before_ms))
            .order(dsl::created_ms)
            .select(dsl::key_name)
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    diesel::delete(keys::table.filter(dsl::key_name.eq_any(old)))
        .execute(connection)
        .await
}
