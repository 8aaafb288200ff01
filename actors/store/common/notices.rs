//! Limits that were reached, until the receivers have them. A row belongs to the boot that sends it, as tasks and
//! messages do to theirs. A row that another transaction has locked is passed over.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::dialect::{self, Connection, FIRST, RunQueryDsl, now_plus, same_id};
use super::part::leaving_out;
use super::{IN_ONE_STATEMENT, ids, named};
use crate::store::columns::ALIVE;
use crate::store::schema::warning_notice::{self, dsl};
use crate::store::schema::{boot, warning_sender};
use crate::store::warnings::{
    CountNotice, NOTICE_GRACE_MS, NOTICE_KEPT_MS, NoticeBreadth, NoticeClaim,
};
use crate::store::write::{EndNotices, SendNotices, TRIM_ROWS};

const TABLE: &str = "warning_notice";

pub(in crate::store) async fn send(
    connection: &mut Connection,
    SendNotices { owner, environment }: &SendNotices,
) -> QueryResult<()> {
    diesel::insert_into(warning_sender::table)
        .values((
            warning_sender::owner.eq(owner),
            warning_sender::environment.eq(environment),
        ))
        .on_conflict(same_id!(warning_sender::owner))
        .do_update()
        .set(warning_sender::environment.eq(environment))
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a daemon that lives, or has lived a moment ago, has a receiver for the environment.
async fn has_sender(connection: &mut Connection, environment: &str) -> QueryResult<bool> {
    let recent = boot::heartbeat_ms.gt(now_plus(-NOTICE_GRACE_MS));
    let known: i64 = warning_sender::table
        .inner_join(boot::table.on(boot::owner.eq(warning_sender::owner)))
        .filter(warning_sender::environment.eq(environment))
        .filter(boot::state.eq(ALIVE).or(recent))
        .count()
        .get_result(connection)
        .await?;
    Ok(known > 0)
}

/// Unclaimed notices that a claim of this breadth takes.
macro_rules! waiting {
    ($environment:expr, $breadth:expr) => {{
        let (all, partition) = $breadth.parts();
        let is_old = dsl::created_ms.lt(now_plus(-NOTICE_GRACE_MS));
        warning_notice::table
            .filter(dsl::owner.eq(""))
            .filter(dsl::environment.eq($environment))
            .filter(dsl::partition_name.eq(partition).or(all.into_sql::<Bool>()))
            .filter(is_old.or(all.into_sql::<Bool>()))
    }};
}

/// Returns the owner's notices that are not in `keep`. This includes notices of an earlier claim whose answer was lost.
pub(in crate::store) async fn claim(
    connection: &mut Connection,
    claim: &NoticeClaim,
) -> QueryResult<Vec<CountNotice>> {
    let may_claim = match &claim.breadth {
        NoticeBreadth::All => true,
        NoticeBreadth::OfPartition(_) => !has_sender(connection, &claim.environment).await?,
    };
    if may_claim {
        let waiting = dialect::for_update_skip_locked!(
            waiting!(&claim.environment, &claim.breadth)
                .order(dsl::id)
                .select(dsl::id)
                .limit(i64::from(claim.most))
        );
        let ids: Vec<i64> = waiting.load(connection).await?;
        own(connection, &ids, &claim.owner).await?;
    }
    let mine = warning_notice::table
        .filter(dsl::owner.eq(&claim.owner))
        .filter(dsl::environment.eq(&claim.environment))
        .filter(dsl::id.ne_all(&claim.keep))
        .order(dsl::id)
        .select(CountNotice::as_select())
        .limit(i64::from(claim.most))
        .load(connection)
        .await?;
    Ok(mine)
}

/// The rows are the caller's.
async fn own(connection: &mut Connection, ids: &[i64], owner: &str) -> QueryResult<usize> {
    let change = async |connection: &mut Connection, ids: &[i64]| {
        let change = format!("owner = {FIRST}");
        diesel::sql_query(named::update(TABLE, &change, &ids::list(ids)))
            .bind::<Text, _>(owner)
            .execute(connection)
            .await
    };
    let mut owned = 0;
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        owned += leaving_out(connection, TABLE, chunk, change).await?;
    }
    Ok(owned)
}

/// The rows are the caller's.
async fn delete(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    ids::each(connection, TABLE, ids, |ids| named::delete(TABLE, ids)).await
}

/// Ends notices. Returns the ids that the owner still has.
pub(in crate::store) async fn end(
    connection: &mut Connection,
    EndNotices { owner, ids }: &EndNotices,
) -> QueryResult<Vec<i64>> {
    let mut left = Vec::new();
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let mine: Vec<i64> = dialect::for_update_skip_locked!(
            warning_notice::table
                .filter(dsl::id.eq_any(chunk))
                .filter(dsl::owner.eq(owner))
                .order(dsl::id)
                .select(dsl::id)
        )
        .load(connection)
        .await?;
        delete(connection, &mine).await?;
        let locked: Vec<i64> = warning_notice::table
            .filter(dsl::id.eq_any(chunk))
            .filter(dsl::owner.eq(owner))
            .select(dsl::id)
            .load(connection)
            .await?;
        left.extend(locked);
    }
    Ok(left)
}

pub(in crate::store) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    warning_notice::table
        .filter(dsl::owner.gt(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
        .await
}

/// Releases all notices of boots that are gone. Rows that are locked are left for the next poll; see
/// `tasks::release_all`.
pub(in crate::store) async fn release_all(
    connection: &mut Connection,
    owners: &[String],
) -> QueryResult<usize> {
    let ids: Vec<i64> = dialect::for_update_skip_locked!(
        warning_notice::table
            .filter(dsl::owner.eq_any(owners))
            .order(dsl::id)
            .select(dsl::id)
    )
    .load(connection)
    .await?;
    own(connection, &ids, "").await
}

/// Whether a claim would find something.
pub(in crate::store) async fn any(
    connection: &mut Connection,
    environment: &str,
    breadth: &NoticeBreadth,
) -> QueryResult<bool> {
    let waiting = waiting!(environment, breadth).select(dsl::id);
    let first: Option<i64> = waiting.first(connection).await.optional()?;
    match (first, breadth) {
        (Some(_), NoticeBreadth::OfPartition(_)) => Ok(!has_sender(connection, environment).await?),
        (first, _) => Ok(first.is_some()),
    }
}

pub(in crate::store) async fn trim(connection: &mut Connection) -> QueryResult<usize> {
    // Its boot has been gone for a week, or never was.
    let gone: Vec<String> = warning_sender::table
        .left_join(boot::table.on(boot::owner.eq(warning_sender::owner)))
        .filter(boot::owner.is_null())
        .select(warning_sender::owner)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await?;
    for owner in gone {
        diesel::delete(warning_sender::table.find(owner))
            .execute(connection)
            .await?;
    }
    let old: Vec<i64> = dialect::for_update_skip_locked!(
        warning_notice::table
            .filter(dsl::owner.eq(""))
            .filter(dsl::created_ms.lt(now_plus(-NOTICE_KEPT_MS)))
            .order(dsl::id)
            .select(dsl::id)
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    delete(connection, &old).await
}
