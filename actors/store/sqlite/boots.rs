//! Which boots live, which are dead, and the release of dead boots' rows.

use diesel::prelude::*;

use super::part::part;
use super::{deaths, messages, notices, tasks};
use crate::clock::now_ms;
use crate::store::apart::{Manner, left_out};
use crate::store::columns::{ALIVE, DEAD_OWNERS, ENDED, JUDGED_DEAD, MISSED_HEARTBEATS};
use crate::store::rows::{Beat, BootRow, Charge, Heartbeat, Reaped, Victim};
use crate::store::schema::boot::{self, dsl};
use crate::store::write::{EndBoot, ReapGone, ReapSilent, TRIM_ROWS};

/// Rows of `boot` that ended longer ago than this are deleted: a week, so that a person can still read them.
const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
/// How long a charge to a message outside of the database counts: a month, longer than topics keep records.
const DEATHS_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

pub(super) fn begin(connection: &mut SqliteConnection, row: &BootRow) -> QueryResult<()> {
    trim(connection)?;
    note(connection, row)?;
    Ok(())
}

/// Deletes at most `TRIM_ROWS` boots that ended long ago, and as many old deaths. `idx_boot_state` finds the former.
fn trim(connection: &mut SqliteConnection) -> QueryResult<()> {
    let now = now_ms();
    let old: Vec<String> = boot::table
        .filter(dsl::state.eq_any([ENDED, JUDGED_DEAD]))
        .filter(dsl::heartbeat_ms.lt(now - KEPT_MS))
        .select(dsl::owner)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    if !old.is_empty() {
        diesel::delete(boot::table.filter(dsl::owner.eq_any(old))).execute(connection)?;
    }
    deaths::trim(connection, now - DEATHS_KEPT_MS)
}

/// Its own transaction is the caller's. A boot that another judged dead learns it here, once.
pub(super) fn beat(connection: &mut SqliteConnection, row: &BootRow) -> QueryResult<Heartbeat> {
    let at_ms = now_ms();
    let state: Option<i16> = boot::table
        .filter(dsl::owner.eq(&row.owner))
        .select(dsl::state)
        .first(connection)
        .optional()?;
    if state == Some(ENDED) {
        // The last heartbeat crossed the boot's end: it does not raise the dead.
        let beat = Beat::Alive;
        return Ok(Heartbeat { beat, at_ms });
    }
    note(connection, row)?;
    let beat = match state {
        Some(ALIVE) => Beat::Alive,
        Some(_) => Beat::WasDead,
        None => Beat::Unknown,
    };
    Ok(Heartbeat { beat, at_ms })
}

/// The boot is alive at this moment. Its row may be gone, after a week's sleep.
fn note(connection: &mut SqliteConnection, row: &BootRow) -> QueryResult<usize> {
    let now = now_ms();
    diesel::insert_into(boot::table)
        .values((
            dsl::owner.eq(&row.owner),
            dsl::partition_name.eq(&row.partition),
            dsl::host.eq(&row.host),
            dsl::pid.eq(row.pid),
            dsl::state.eq(ALIVE),
            dsl::started_ms.eq(now),
            dsl::heartbeat_ms.eq(now),
            dsl::interval_ms.eq(row.interval_ms),
            dsl::version.eq(row.version),
        ))
        .on_conflict(dsl::owner)
        .do_update()
        .set((dsl::heartbeat_ms.eq(now), dsl::state.eq(ALIVE)))
        .execute(connection)
}

pub(super) fn end(
    connection: &mut SqliteConnection,
    manner: Manner,
    EndBoot { owner }: &EndBoot,
) -> QueryResult<Reaped> {
    let mut reaped = Reaped::default();
    recover(connection, manner, owner, ENDED, &mut reaped)?;
    Ok(reaped)
}

/// Judging and giving back are one transaction: a boot is dead and its rows are free, or neither.
pub(super) fn reap_silent(
    connection: &mut SqliteConnection,
    manner: Manner,
    &ReapSilent { ref me, as_of_ms }: &ReapSilent,
) -> QueryResult<Reaped> {
    let silent: Vec<String> = boot::table
        .filter(dsl::state.eq(ALIVE))
        .filter(dsl::owner.ne(me))
        .filter(
            dsl::heartbeat_ms
                .lt(dsl::interval_ms * -MISSED_HEARTBEATS + as_of_ms)
                // Of a clock that was ahead and has been set right: a boot that lives has sent another one since.
                .or(dsl::heartbeat_ms
                    .gt(dsl::interval_ms * MISSED_HEARTBEATS + as_of_ms.max(now_ms()))),
        )
        .select(dsl::owner)
        .load(connection)?;
    let mut reaped = Reaped::default();
    for owner in silent {
        recover(connection, manner, &owner, JUDGED_DEAD, &mut reaped)?;
    }
    // What a boot claims after it was judged is nobody's until it learns of the judgement, and for ever if it never
    // does.
    for owner in dead_owners(connection)? {
        tasks::give_back_all(connection, manner, &owner)?;
        messages::give_back_all(connection, manner, &owner)?;
        notices::give_back_all(connection, manner, &owner)?;
    }
    if let Err(why) = part(connection, manner, trim)? {
        left_out("boot", 0, &why);
    }
    Ok(reaped)
}

/// Owners of claimed rows that are not alive, at most `DEAD_OWNERS` of them. The query reads the claimed rows and not
/// the dead boots: those are few, these may be tens of thousands. Whoever owns a row was known as alive before; it may
/// have no row in `boot` any more.
fn dead_owners(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let mut owners = tasks::owners(connection)?;
    owners.extend(messages::owners(connection)?);
    owners.extend(notices::owners(connection)?);
    owners.sort_unstable();
    owners.dedup();
    let mut dead = Vec::new();
    for owner in owners {
        let alive = boot::table
            .filter(dsl::owner.eq(&owner))
            .filter(dsl::state.eq(ALIVE));
        if dead.len() < DEAD_OWNERS && alive.count().get_result::<i64>(connection)? == 0 {
            dead.push(owner);
        }
    }
    Ok(dead)
}

/// The process of this boot is known to be gone (its lock is free), so nobody waits for its heartbeats to stop.
/// Each crash is recorded once, by the first daemon: `deaths_counted` changes in the same transaction.
pub(super) fn reap_gone(
    connection: &mut SqliteConnection,
    manner: Manner,
    ReapGone { owner, charges }: &ReapGone,
) -> QueryResult<Reaped> {
    let mut reaped = Reaped::default();
    let known: i64 = boot::table
        .filter(dsl::owner.eq(owner))
        .count()
        .get_result(connection)?;
    if known == 0 {
        return Ok(reaped);
    }
    recover(connection, manner, owner, JUDGED_DEAD, &mut reaped)?;
    let uncounted = boot::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::deaths_counted.eq(0));
    let first = diesel::update(uncounted)
        .set(dsl::deaths_counted.eq(1))
        .execute(connection)?
        == 1;
    if first {
        for charge in charges {
            let charged = part(connection, manner, |connection| {
                count(connection, owner, charge)
            });
            let dead = charged?.unwrap_or_else(|why| {
                log::error!(
                    "a message or task that ended its process is not charged for it: {why}"
                );
                None
            });
            reaped.charged += usize::from(dead.is_some());
            if dead == Some(true) {
                reaped.dead_letters.push(charge.dead_letter());
            }
        }
    }
    Ok(reaped)
}

/// Whether the victim became a dead letter; none where it is not there any more.
fn count(
    connection: &mut SqliteConnection,
    owner: &str,
    charge: &Charge,
) -> QueryResult<Option<bool>> {
    match &charge.victim {
        Victim::Message { id, entry } => messages::charge(connection, *id, entry, owner, charge),
        Victim::Task { id, .. } => tasks::charge(connection, *id, owner, charge),
        // Whether it is a dead letter is decided where the message is.
        Victim::Outside(id) => {
            deaths::charge(connection, id, charge)?;
            Ok(Some(false))
        }
    }
}

fn recover(
    connection: &mut SqliteConnection,
    manner: Manner,
    owner: &str,
    state: i16,
    reaped: &mut Reaped,
) -> QueryResult<()> {
    let alive = boot::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::state.eq(ALIVE));
    diesel::update(alive)
        .set(dsl::state.eq(state))
        .execute(connection)?;
    reaped.tasks += tasks::give_back_all(connection, manner, owner)?;
    reaped.messages += messages::give_back_all(connection, manner, owner)?;
    notices::give_back_all(connection, manner, owner)?;
    reaped.boots.push(owner.to_owned());
    Ok(())
}
