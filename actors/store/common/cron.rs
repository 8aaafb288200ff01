//! The statements of cron: who fires, and how runs end. By the daemons' clocks, which the fires are made by.

use diesel::prelude::*;

use super::daemon_orders;
use super::dialect::{self, Collision, Connection, RunQueryDsl, crontab_log, row_time};
use super::part::part;
use crate::clock::now_ms;
use crate::store::claim_outcome::{Begin, end_status, not_logged, skipped};
use crate::store::columns::{
    AHEAD_MS, RUN_CLAIMED, RUN_ENDED, RUN_REPLACED, RUN_SKIPPED, RUN_STARTED,
};
use crate::store::rows::{AtOverlap, Claim, Fire, RunEnd};
use crate::store::schema::{cron_entry, cron_run};
use crate::store::write::{RunStarted, TakeFire};

/// The unique index on (partition, entry, second) decides which daemon fires. The row of `crontab_log` is in the same
/// transaction: there is no fire without it, and none of it without a fire. So is the check for earlier runs: it locks
/// the entry first, so no two daemons find the entry free.
pub(in crate::store) async fn claim_fire(
    connection: &mut Connection,
    fire: &Fire,
) -> QueryResult<Claim> {
    use cron_run::dsl;

    // Where a collision costs the whole transaction the row is searched for first. It may collide all the same; the
    // transaction is tried again then, and finds it.
    if dialect::COLLISION == Collision::Fails
        && let Some(whose) = row_of(connection, fire).await?
    {
        return Ok(whose);
    }
    // Nobody makes it twice: what another daemon has made, or this one, has ended its order in the same transaction.
    if let Some(order) = fire.order
        && !daemon_orders::waits(connection, order).await?
    {
        let whose = own_row_of(connection, fire).await?;
        return Ok(whose.unwrap_or(Claim::Others));
    }
    let rivals = Rivals {
        partition: &fire.partition,
        entry: &fire.entry,
        scheduled_ms: fire.scheduled_ms,
    };
    if fire.expired.is_none() && fire.at_overlap != AtOverlap::Allow {
        rivals.lock(connection).await?;
    }
    // As late as can be: a server that hung has answered by now.
    if fire.given_up.is_set() {
        return Ok(Claim::Missed);
    }
    let begin = match (&fire.expired, &fire.at_overlap) {
        (Some(result), _) => Begin::missed(result),
        (None, AtOverlap::Wait) if rivals.are_open(connection).await? => {
            let whose = row_of(connection, fire).await?;
            return Ok(whose.unwrap_or(Claim::Busy));
        }
        (None, AtOverlap::Skip { result }) if rivals.are_open(connection).await? => {
            Begin::skipped(result)
        }
        _ => Begin::claimed(),
    };
    let inserted = dialect::insert_or_leave!(
        connection,
        diesel::insert_into(cron_run::table).values((
            dsl::partition_name.eq(&fire.partition),
            dsl::entry.eq(&fire.entry),
            dsl::scheduled_ms.eq(fire.scheduled_ms),
            dsl::uk.eq(&fire.uk),
            dsl::name.eq(connection.limits.name(&fire.name)),
            dsl::owner.eq(&fire.owner),
            dsl::machine.eq(&fire.machine),
            dsl::state.eq(begin.state),
            dsl::status.eq(begin.status),
            dsl::timeout_ms.eq(fire.timeout_ms),
            dsl::started_ms.eq(begin.started_ms),
            dsl::ended_ms.eq(begin.ended_ms),
        ))
    );
    if inserted == 0 {
        let whose = row_of(connection, fire).await?;
        return Ok(whose.unwrap_or(Claim::Others));
    }
    if let Some(order) = fire.order {
        daemon_orders::became_run(connection, order, fire, begin.claim).await?;
    }
    if begin.claim == Claim::Ours && fire.at_overlap == AtOverlap::Replace {
        rivals.mark_replaced(connection).await?;
    }
    if fire.is_log {
        let logged = part(connection, async |connection| {
            log_start(connection, fire, &begin).await
        });
        logged
            .await?
            .map_or_else(|why| not_logged(&fire.uk, &why), drop);
    }
    Ok(begin.claim)
}

/// The owner of the row that is there already. The answer to an earlier claim of the same caller may have been lost.
async fn row_of(connection: &mut Connection, fire: &Fire) -> QueryResult<Option<Claim>> {
    use cron_run::dsl;

    let there: Option<(i16, String, String, String)> = cron_run::table
        .filter(dsl::partition_name.eq(&fire.partition))
        .filter(dsl::entry.eq(&fire.entry))
        .filter(dsl::scheduled_ms.eq(fire.scheduled_ms))
        .select((dsl::state, dsl::status, dsl::uk, dsl::owner))
        .first(connection)
        .await
        .optional()?;
    Ok(there.map(|(state, status, uk, owner)| {
        let own = uk == fire.uk && owner == fire.owner;
        match state {
            RUN_CLAIMED if own => Claim::Ours,
            RUN_ENDED if own && status == RUN_SKIPPED => Claim::Skipped,
            _ => Claim::Others,
        }
    }))
}

/// The row of an ordered run that is there already, at whichever moment it was claimed.
async fn own_row_of(connection: &mut Connection, fire: &Fire) -> QueryResult<Option<Claim>> {
    use cron_run::dsl;

    let own: Option<(i16, String)> = cron_run::table
        .filter(dsl::uk.eq(&fire.uk))
        .filter(dsl::owner.eq(&fire.owner))
        .select((dsl::state, dsl::status))
        .first(connection)
        .await
        .optional()?;
    Ok(own.and_then(|(state, status)| match state {
        RUN_CLAIMED => Some(Claim::Ours),
        RUN_ENDED if status == RUN_SKIPPED => Some(Claim::Skipped),
        _ => None,
    }))
}

/// The other runs of a fire's entry.
struct Rivals<'a> {
    partition: &'a str,
    entry: &'a str,
    scheduled_ms: i64,
}

impl Rivals<'_> {
    /// Locks the entry until the transaction ends, so that of two transactions that check its runs the second sees what
    /// the first decided.
    async fn lock(&self, connection: &mut Connection) -> QueryResult<()> {
        if dialect::LOCKS_ROWS {
            let entry = cron_entry::table
                .find((self.partition, self.entry))
                .select(cron_entry::live);
            let locked = dialect::for_update!(entry).first(connection);
            let _: Option<i16> = locked.await.optional()?;
        }
        Ok(())
    }

    /// A run whose daemon is dead and which no daemon can judge yet counts: it may go on.
    async fn are_open(&self, connection: &mut Connection) -> QueryResult<bool> {
        use cron_run::dsl;

        let open: i64 = cron_run::table
            .filter(dsl::partition_name.eq(self.partition))
            .filter(dsl::state.eq_any([RUN_CLAIMED, RUN_STARTED]))
            .filter(dsl::entry.eq(self.entry))
            .filter(dsl::scheduled_ms.ne(self.scheduled_ms))
            .count()
            .get_result(connection)
            .await?;
        Ok(open > 0)
    }

    /// Only runs of earlier seconds: of two fires that are late at once the later one goes on, whichever is claimed
    /// first. And those of a clock that was wrong.
    async fn mark_replaced(&self, connection: &mut Connection) -> QueryResult<usize> {
        use cron_run::dsl;

        let earlier = cron_run::table
            .filter(dsl::partition_name.eq(self.partition))
            .filter(dsl::state.eq_any([RUN_CLAIMED, RUN_STARTED]))
            .filter(dsl::entry.eq(self.entry))
            .filter(
                dsl::scheduled_ms
                    .lt(self.scheduled_ms)
                    .or(dsl::scheduled_ms.gt(now_ms().saturating_add(AHEAD_MS))),
            );
        diesel::update(earlier)
            .set(dsl::status.eq(RUN_REPLACED))
            .execute(connection)
            .await
    }
}

async fn log_start(
    connection: &mut Connection,
    fire: &Fire,
    begin: &Begin<'_>,
) -> QueryResult<usize> {
    use crontab_log::dsl;

    let limits = connection.limits;
    diesel::insert_into(crontab_log::table)
        .values((
            dsl::pid.eq(0),
            dsl::name.eq(limits.run_name(&fire.name)),
            dsl::exec_cmd.eq(limits.run_exec_cmd(&fire.exec_cmd)),
            dsl::params.eq(limits.run_params(&fire.params)),
            dsl::result.eq(limits.run_result(begin.result)),
            dsl::status.eq(begin.status),
            dsl::start_time.eq(begin.started_ms),
            dsl::end_time.eq(begin.ended_ms),
            dsl::cost_time.eq(0),
            dsl::partition_name.eq(&fire.partition),
            dsl::uk.eq(&fire.uk),
            dsl::create_time.eq(row_time()),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await
}

/// The earlier owner in the condition lets one of several daemons through. The entry's overlap is checked again: a
/// daemon with an older configuration may have let another run begin meanwhile.
pub(in crate::store) async fn take_fire(
    connection: &mut Connection,
    TakeFire {
        uk,
        from,
        owner,
        at_overlap,
    }: &TakeFire,
) -> QueryResult<Claim> {
    use cron_run::dsl;

    let of_fire = || cron_run::table.filter(dsl::uk.eq(uk));
    let fire: Option<(String, String, i64)> = of_fire()
        .select((dsl::partition_name, dsl::entry, dsl::scheduled_ms))
        .first(connection)
        .await
        .optional()?;
    let Some((partition, entry, scheduled_ms)) = fire else {
        return Ok(Claim::Others);
    };
    let rivals = Rivals {
        partition: &partition,
        entry: &entry,
        scheduled_ms,
    };
    // The entry first, then its runs: in the order of `claim_fire`.
    if *at_overlap != AtOverlap::Allow {
        rivals.lock(connection).await?;
    }
    let left = of_fire()
        .filter(dsl::owner.eq(from))
        .filter(dsl::state.eq(RUN_CLAIMED));
    let taken = diesel::update(left)
        .set(dsl::owner.eq(owner))
        .execute(connection)
        .await?;
    if taken == 0 {
        return Ok(Claim::Others);
    }
    match at_overlap {
        AtOverlap::Skip { result } if rivals.are_open(connection).await? => {
            end_run(connection, &skipped(uk, result)).await?;
            return Ok(Claim::Skipped);
        }
        AtOverlap::Replace => rivals.mark_replaced(connection).await.map(drop)?,
        AtOverlap::Skip { .. } | AtOverlap::Allow | AtOverlap::Wait => {}
    }
    Ok(Claim::Ours)
}

pub(in crate::store) async fn run_started(
    connection: &mut Connection,
    &RunStarted {
        ref uk,
        pid,
        start_ticks,
    }: &RunStarted,
) -> QueryResult<()> {
    use cron_run::dsl;

    diesel::update(
        cron_run::table
            .filter(dsl::uk.eq(uk))
            .filter(dsl::state.eq(RUN_CLAIMED)),
    )
    .set((
        dsl::state.eq(RUN_STARTED),
        dsl::pid.eq(pid),
        dsl::start_ticks.eq(start_ticks),
    ))
    .execute(connection)
    .await?;
    let logged = part(connection, async |connection| {
        diesel::update(
            crontab_log::table
                .filter(crontab_log::uk.eq(uk))
                .filter(crontab_log::status.eq("running")),
        )
        .set(crontab_log::pid.eq(pid))
        .execute(connection)
        .await
    });
    logged.await?.map_or_else(|why| not_logged(uk, &why), drop);
    Ok(())
}

/// The process itself and the daemon that watches it both report the end; the row is locked and read first, so only the
/// first one gets through.
pub(in crate::store) async fn end_run(
    connection: &mut Connection,
    end: &RunEnd,
) -> QueryResult<bool> {
    use cron_run::dsl;

    let row = cron_run::table.filter(dsl::uk.eq(&end.uk));
    let found: Option<(i16, String, String)> =
        dialect::for_update!(row.select((dsl::state, dsl::owner, dsl::status)))
            .first(connection)
            .await
            .optional()?;
    let may = |state: i16, owner: &str| {
        state < RUN_ENDED && end.only_of.as_deref().is_none_or(|only| only == owner)
    };
    let open = found.filter(|(state, owner, _)| may(*state, owner));
    let Some((.., mark)) = open else {
        return Ok(false);
    };
    diesel::update(row)
        .set((
            dsl::state.eq(RUN_ENDED),
            dsl::status.eq(end_status(&mark, end)),
            dsl::pid.eq(end.pid),
            dsl::ended_ms.eq(end.ended_ms),
        ))
        .execute(connection)
        .await?;
    let logged = part(connection, async |connection| {
        log_end(connection, end).await
    });
    logged
        .await?
        .unwrap_or_else(|why| not_logged(&end.uk, &why));
    Ok(true)
}

async fn log_end(connection: &mut Connection, end: &RunEnd) -> QueryResult<()> {
    use crontab_log::dsl;

    let row = crontab_log::table
        .filter(dsl::uk.eq(&end.uk))
        .filter(dsl::status.eq("running"));
    let start: Option<i64> = row
        .select(dsl::start_time)
        .first(connection)
        .await
        .optional()?;
    let Some(start) = start else {
        return Ok(());
    };
    let cost = (end.ended_ms - start).clamp(0, i64::from(i32::MAX));
    diesel::update(row)
        .set((
            dsl::status.eq(&end.status),
            dsl::result.eq(connection.limits.run_result(&end.result)),
            dsl::pid.eq(end.pid),
            dsl::end_time.eq(end.ended_ms),
            dsl::cost_time.eq(i32::try_from(cost).unwrap_or(i32::MAX)),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await
        .map(drop)
}
