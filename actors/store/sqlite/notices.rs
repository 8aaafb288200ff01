//! Limits that were reached, until the receivers have them. A row belongs to the boot that sends it, as tasks and messages
//! do to theirs.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::part::leaving_out;
use crate::clock::now_ms;
use crate::store::apart::Manner;
use crate::store::columns::ALIVE;
use crate::store::schema::warning_notice::{self, dsl};
use crate::store::schema::{boot, warning_sender};
use crate::store::warnings::{
    CountNotice, NOTICE_GRACE_MS, NOTICE_KEPT_MS, NoticeBreadth, NoticeClaim,
};
use crate::store::write::{EndNotices, SendNotices, TRIM_ROWS};

const TABLE: &str = "warning_notice";

pub(super) fn send(
    connection: &mut SqliteConnection,
    SendNotices { owner, environment }: &SendNotices,
) -> QueryResult<()> {
    diesel::insert_into(warning_sender::table)
        .values((
            warning_sender::owner.eq(owner),
            warning_sender::environment.eq(environment),
        ))
        .on_conflict(warning_sender::owner)
        .do_update()
        .set(warning_sender::environment.eq(environment))
        .execute(connection)?;
    Ok(())
}

/// Whether a daemon that lives, or has lived a moment ago, has a receiver for the environment.
fn has_sender(connection: &mut SqliteConnection, environment: &str) -> QueryResult<bool> {
    let recent = boot::heartbeat_ms.gt(now_ms() - NOTICE_GRACE_MS);
    let known: i64 = warning_sender::table
        .inner_join(boot::table.on(boot::owner.eq(warning_sender::owner)))
        .filter(warning_sender::environment.eq(environment))
        .filter(boot::state.eq(ALIVE).or(recent))
        .count()
        .get_result(connection)?;
    Ok(known > 0)
}

/// What nobody has claimed, and a claim of this breadth takes.
macro_rules! waiting {
    ($environment:expr, $breadth:expr) => {{
        let (all, partition) = $breadth.parts();
        let is_old = dsl::created_ms.lt(now_ms() - NOTICE_GRACE_MS);
        warning_notice::table
            .filter(dsl::owner.eq(""))
            .filter(dsl::environment.eq($environment))
            .filter(dsl::partition_name.eq(partition).or(all.into_sql::<Bool>()))
            .filter(is_old.or(all.into_sql::<Bool>()))
    }};
}

/// Answers what is the owner's and not in its hands: what an earlier claim took whose answer was lost as well.
pub(super) fn claim(
    connection: &mut SqliteConnection,
    manner: Manner,
    claim: &NoticeClaim,
) -> QueryResult<Vec<CountNotice>> {
    if any(connection, &claim.environment, &claim.breadth)? {
        let waiting = waiting!(&claim.environment, &claim.breadth)
            .order(dsl::id)
            .select(dsl::id)
            .limit(i64::from(claim.most));
        let ids: Vec<i64> = waiting.load(connection)?;
        own(connection, manner, &ids, &claim.owner)?;
    }
    let mine = warning_notice::table
        .filter(dsl::owner.eq(&claim.owner))
        .filter(dsl::environment.eq(&claim.environment))
        .filter(dsl::id.ne_all(&claim.keep))
        .order(dsl::id)
        .select(CountNotice::as_select())
        .limit(i64::from(claim.most))
        .load(connection)?;
    Ok(mine)
}

fn own(
    connection: &mut SqliteConnection,
    manner: Manner,
    ids: &[i64],
    owner: &str,
) -> QueryResult<usize> {
    leaving_out(connection, manner, TABLE, ids, |connection, id| {
        diesel::update(warning_notice::table.find(id))
            .set(dsl::owner.eq(owner))
            .execute(connection)
    })
}

/// Answers those that are the owner's still.
pub(super) fn end(
    connection: &mut SqliteConnection,
    manner: Manner,
    EndNotices { owner, ids }: &EndNotices,
) -> QueryResult<Vec<i64>> {
    leaving_out(connection, manner, TABLE, ids, |connection, id| {
        let mine = warning_notice::table.find(id).filter(dsl::owner.eq(owner));
        diesel::delete(mine).execute(connection)
    })?;
    let left: Vec<i64> = warning_notice::table
        .filter(dsl::id.eq_any(ids))
        .filter(dsl::owner.eq(owner))
        .select(dsl::id)
        .load(connection)?;
    Ok(left)
}

pub(super) fn owners(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    warning_notice::table
        .filter(dsl::owner.gt(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
}

/// Gives back all notices of a boot that is gone.
pub(super) fn give_back_all(
    connection: &mut SqliteConnection,
    manner: Manner,
    owner: &str,
) -> QueryResult<usize> {
    let ids: Vec<i64> = warning_notice::table
        .filter(dsl::owner.eq(owner))
        .select(dsl::id)
        .load(connection)?;
    own(connection, manner, &ids, "")
}

/// Whether a claim would find something.
pub(super) fn any(
    connection: &mut SqliteConnection,
    environment: &str,
    breadth: &NoticeBreadth,
) -> QueryResult<bool> {
    let waiting = waiting!(environment, breadth).select(dsl::id);
    let first: Option<i64> = waiting.first(connection).optional()?;
    match (first, breadth) {
        (Some(_), NoticeBreadth::OfPartition(_)) => Ok(!has_sender(connection, environment)?),
        (first, _) => Ok(first.is_some()),
    }
}

pub(super) fn trim(connection: &mut SqliteConnection, manner: Manner) -> QueryResult<usize> {
    // Its boot has been gone for a week, or never was.
    let gone: Vec<String> = warning_sender::table
        .left_join(boot::table.on(boot::owner.eq(warning_sender::owner)))
        .filter(boot::owner.is_null())
        .select(warning_sender::owner)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    for owner in gone {
        diesel::delete(warning_sender::table.find(owner)).execute(connection)?;
    }
    let old: Vec<i64> = warning_notice::table
        .filter(dsl::owner.eq(""))
        .filter(dsl::created_ms.lt(now_ms() - NOTICE_KEPT_MS))
        .order(dsl::id)
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    let deleted = leaving_out(connection, manner, TABLE, &old, |connection, id| {
        diesel::delete(warning_notice::table.find(id)).execute(connection)
    })?;
    Ok(deleted)
}
