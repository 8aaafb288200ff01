//! Which boots live, which are dead, and the release of dead boots' rows. By the database's clock: those of the daemons
//! may differ.

use std::collections::HashSet;

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl, now, now_plus, same_id};
use super::part::part;
use super::{IN_ONE_STATEMENT, deaths, messages, notices, tasks};
use crate::store::columns::{ALIVE, DEAD_OWNERS, ENDED, JUDGED_DEAD, MISSED_HEARTBEATS};
use crate::store::parts::left_out;
use crate::store::rows::{Beat, BootRow, Crash, Heartbeat, Reaped, Victim};
use crate::store::schema::boot::{self, dsl};
use crate::store::write::{EndBoot, ReapGone, ReapSilent, TRIM_ROWS};

/// Rows of `boot` that ended longer ago than this are deleted: a week, so that a person can still read them.
const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
/// A recorded crash of a message outside the database counts for a month, longer than topics keep records.
const DEATHS_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

pub(in crate::store) async fn begin(connection: &mut Connection, row: &BootRow) -> QueryResult<()> {
    trim(connection).await?;
    dialect::trim_marks(connection).await?;
    note(connection, row).await?;
    Ok(())
}

/// Deletes at most `TRIM_ROWS` boots that ended long ago, and as many old deaths. `idx_boot_state` finds the former.
async fn trim(connection: &mut Connection) -> QueryResult<()> {
    let old: Vec<String> = dialect::for_update_skip_locked!(
        boot::table
            .filter(dsl::state.eq_any([ENDED, JUDGED_DEAD]))
            .filter(dsl::heartbeat_ms.lt(now_plus(-KEPT_MS)))
            .select(dsl::owner)
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    if !old.is_empty() {
        diesel::delete(boot::table.filter(dsl::owner.eq_any(old)))
            .execute(connection)
            .await?;
    }
    deaths::trim(connection, DEATHS_KEPT_MS).await
}

/// Writes a heartbeat, in a transaction of its own that the caller begins. Returns once that another boot has judged this
/// one dead. The row is locked before it is read: a judgement under way ends first, and is read.
pub(in crate::store) async fn beat(
    connection: &mut Connection,
    row: &BootRow,
) -> QueryResult<Heartbeat> {
    let state: Option<i16> = dialect::for_update!(
        boot::table
            .filter(dsl::owner.eq(&row.owner))
            .select(dsl::state)
    )
    .first(connection)
    .await
    .optional()?;
    if state == Some(ENDED) {
        // The last heartbeat crossed the boot's end: it does not raise the dead.
        let (beat, at_ms) = (Beat::Alive, dialect::clock_ms(connection).await?);
        return Ok(Heartbeat { beat, at_ms });
    }
    note(connection, row).await?;
    let at_ms: i64 = boot::table
        .find(&row.owner)
        .select(dsl::heartbeat_ms)
        .first(connection)
        .await?;
    let beat = match state {
        Some(ALIVE) => Beat::Alive,
        Some(_) => Beat::WasDead,
        None => Beat::Unknown,
    };
    Ok(Heartbeat { beat, at_ms })
}

/// The boot is alive at this moment. Its row may be gone, after a week's sleep.
async fn note(connection: &mut Connection, row: &BootRow) -> QueryResult<usize> {
    diesel::insert_into(boot::table)
        .values((
            dsl::owner.eq(&row.owner),
            dsl::partition_name.eq(&row.partition),
            dsl::host.eq(&row.host),
            dsl::pid.eq(row.pid),
            dsl::state.eq(ALIVE),
            dsl::started_ms.eq(now()),
            dsl::heartbeat_ms.eq(now()),
            dsl::interval_ms.eq(row.interval_ms),
            dsl::version.eq(row.version),
        ))
        .on_conflict(same_id!(dsl::owner))
        .do_update()
        .set((dsl::heartbeat_ms.eq(now()), dsl::state.eq(ALIVE)))
        .execute(connection)
        .await
}

pub(in crate::store) async fn end(
    connection: &mut Connection,
    EndBoot { owner }: &EndBoot,
) -> QueryResult<Reaped> {
    let mut reaped = Reaped::default();
    recover(connection, owner, ENDED, &mut reaped).await?;
    Ok(reaped)
}

/// Judging and releasing are one transaction: a boot is dead and its rows are free, or neither. The boot's row is
/// locked first, so no heartbeat comes in between.
pub(in crate::store) async fn reap_silent(
    connection: &mut Connection,
    &ReapSilent { ref me, as_of_ms }: &ReapSilent,
) -> QueryResult<Reaped> {
    let late = || dsl::interval_ms * MISSED_HEARTBEATS;
    let is_silent = dsl::heartbeat_ms.lt(dsl::interval_ms * -MISSED_HEARTBEATS + as_of_ms);
    // A heartbeat that lies further ahead than the next ones is of a clock that was ahead and has been set right. A daemon
    // that lives has sent another one by now: no boot is judged before three intervals have passed since then. Neither this
    // write nor the heartbeat that it follows may be what was late.
    let is_ahead = dsl::heartbeat_ms
        .gt(late() + as_of_ms)
        .and(dsl::heartbeat_ms.gt(late() + now()));
    // A boot that was frozen in the middle of a heartbeat holds its row until the server gives it up: the next poll
    // finds it.
    let owners: Vec<String> = dialect::for_update_skip_locked!(
        boot::table
            .filter(dsl::state.eq(ALIVE))
            .filter(dsl::owner.ne(me))
            .filter(is_silent.or(is_ahead))
            .select(dsl::owner)
            .order(dsl::owner)
    )
    .load(connection)
    .await?;
    let mut reaped = Reaped::default();
    for owner in owners {
        recover(connection, &owner, JUDGED_DEAD, &mut reaped).await?;
    }
    // Rows of dead boots that an earlier recovery missed are released: rows claimed at the moment of the judgement, and rows
    // that another transaction had locked.
    let dead = dead_owners(connection).await?;
    if !dead.is_empty() {
        tasks::release_all(connection, &dead).await?;
        messages::release_all(connection, &dead).await?;
        notices::release_all(connection, &dead).await?;
    }
    let swept = part(connection, async |connection| trim(connection).await);
    if let Err(why) = swept.await? {
        left_out("boot", 0, &why);
    }
    Ok(reaped)
}

/// Owners of claimed rows that are not alive, at most `DEAD_OWNERS` of them. The query reads the claimed rows and not
/// the dead boots: claimed rows are few, dead boots may be tens of thousands. Owners are read first: the owner of a row
/// was known as alive before, so an owner that is not found alive then is dead. It may have no row in `boot` any more.
async fn dead_owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let mut owners = tasks::owners(connection).await?;
    owners.extend(messages::owners(connection).await?);
    owners.extend(notices::owners(connection).await?);
    owners.sort_unstable();
    owners.dedup();
    let mut dead = Vec::new();
    for chunk in owners.chunks(IN_ONE_STATEMENT) {
        let alive: HashSet<String> = boot::table
            .filter(dsl::state.eq(ALIVE))
            .filter(dsl::owner.eq_any(chunk))
            .select(dsl::owner)
            .load(connection)
            .await?
            .into_iter()
            .collect();
        dead.extend(
            chunk
                .iter()
                .filter(|owner| !alive.contains(*owner))
                .cloned(),
        );
    }
    dead.truncate(DEAD_OWNERS);
    // One that was only judged may find out at this moment, and claim anew under its name. Its row is locked as in a
    // judgement: no heartbeat comes before its old rows are free, and one that has come since is seen.
    let judged: Vec<(String, i16)> = dialect::for_update!(
        boot::table
            .filter(dsl::owner.eq_any(&dead))
            .order(dsl::owner)
            .select((dsl::owner, dsl::state))
    )
    .load(connection)
    .await?;
    dead.retain(|owner| {
        !judged
            .iter()
            .any(|(name, state)| name == owner && *state == ALIVE)
    });
    Ok(dead)
}

/// The process of this boot is known to be gone (its lock is free), so its heartbeats need not be waited for.
/// Each crash is recorded once, by the first daemon: `deaths_counted` changes in the same transaction.
pub(in crate::store) async fn reap_gone(
    connection: &mut Connection,
    ReapGone { owner, crashes }: &ReapGone,
) -> QueryResult<Reaped> {
    let mut reaped = Reaped::default();
    let known: Option<i16> = dialect::for_update!(
        boot::table
            .filter(dsl::owner.eq(owner))
            .select(dsl::deaths_counted)
    )
    .first(connection)
    .await
    .optional()?;
    let Some(counted) = known else {
        return Ok(reaped);
    };
    recover(connection, owner, JUDGED_DEAD, &mut reaped).await?;
    if counted != 0 {
        return Ok(reaped);
    }
    diesel::update(boot::table.filter(dsl::owner.eq(owner)))
        .set(dsl::deaths_counted.eq(1))
        .execute(connection)
        .await?;
    for crash in crashes {
        let recorded = part(connection, async |connection| {
            count(connection, owner, crash).await
        });
        let dead = recorded.await?.unwrap_or_else(|why| {
            log::error!(
                "the crash of a message or task that ended its process cannot be recorded: {why}"
            );
            None
        });
        reaped.crashes += usize::from(dead.is_some());
        if dead == Some(true) {
            reaped.dead_letters.push(crash.dead_letter());
        }
    }
    Ok(reaped)
}

/// Whether the victim became a dead letter; none where it is not there any more.
async fn count(
    connection: &mut Connection,
    owner: &str,
    crash: &Crash,
) -> QueryResult<Option<bool>> {
    match &crash.victim {
        Victim::Message { id, entry } => {
            messages::record_crash(connection, *id, entry, owner, crash).await
        }
        Victim::Task { id, .. } => tasks::record_crash(connection, *id, owner, crash).await,
        // Whether it is a dead letter is decided where the message is.
        Victim::Outside(id) => {
            deaths::record_crash(connection, id, crash).await?;
            Ok(Some(false))
        }
    }
}

async fn recover(
    connection: &mut Connection,
    owner: &str,
    state: i16,
    reaped: &mut Reaped,
) -> QueryResult<()> {
    let alive = boot::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::state.eq(ALIVE));
    diesel::update(alive)
        .set(dsl::state.eq(state))
        .execute(connection)
        .await?;
    release(connection, owner, reaped).await
}

async fn release(connection: &mut Connection, owner: &str, reaped: &mut Reaped) -> QueryResult<()> {
    let owner = [owner.to_owned()];
    reaped.tasks += tasks::release_all(connection, &owner).await?;
    reaped.messages += messages::release_all(connection, &owner).await?;
    notices::release_all(connection, &owner).await?;
    reaped.boots.extend(owner);
    Ok(())
}
