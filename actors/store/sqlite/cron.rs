//! The statements of cron: who fires, and how runs end.

use diesel::prelude::*;

use super::daemon_orders;
use super::part::part;
use crate::clock::{local_text, now_ms};
use crate::store::apart::Manner;
use crate::store::claim_outcome::{Begin, end_status, not_logged, skipped};
use crate::store::columns::{
    AHEAD_MS, RUN_CLAIMED, RUN_ENDED, RUN_REPLACED, RUN_SKIPPED, RUN_STARTED,
};
use crate::store::rows::{AtOverlap, Claim, Fire, RunEnd};
use crate::store::schema::{cron_run, crontab_log};
use crate::store::truncate::fitted;
use crate::store::write::{RunStarted, TakeFire};

/// The unique index on (partition, entry, second) decides which daemon fires. The row of `crontab_log` is in the same
/// transaction: there is no fire without it, and none of it without a fire. So is the check for earlier runs: however
/// many fires are late at once, no two daemons find the entry free.
pub(super) fn claim_fire(
    connection: &mut SqliteConnection,
    manner: Manner,
    fire: &Fire,
) -> QueryResult<Claim> {
    use cron_run::dsl;

    if fire.given_up.is_set() {
        return Ok(Claim::Missed);
    }
    // Nobody makes it twice: what another daemon has made, or this one, has ended its order in the same transaction.
    if let Some(order) = fire.order
        && !daemon_orders::waits(connection, order)?
    {
        return row_of(connection, fire);
    }
    let rivals = Rivals {
        partition: &fire.partition,
        entry: &fire.entry,
        scheduled_ms: fire.scheduled_ms,
    };
    let begin = match (&fire.expired, &fire.at_overlap) {
        (Some(result), _) => Begin::missed(result),
        (None, AtOverlap::Wait) if rivals.are_open(connection)? => {
            let whose = row_of(connection, fire)?;
            let busy = whose == Claim::Others;
            return Ok(if busy { Claim::Busy } else { whose });
        }
        (None, AtOverlap::Skip { result }) if rivals.are_open(connection)? => {
            Begin::skipped(result)
        }
        _ => Begin::claimed(),
    };
    let inserted = diesel::insert_into(cron_run::table)
        .values((
            dsl::partition_name.eq(&fire.partition),
            dsl::entry.eq(&fire.entry),
            dsl::scheduled_ms.eq(fire.scheduled_ms),
            dsl::uk.eq(&fire.uk),
            dsl::name.eq(&fire.name),
            dsl::owner.eq(&fire.owner),
            dsl::machine.eq(&fire.machine),
            dsl::state.eq(begin.state),
            dsl::status.eq(begin.status),
            dsl::timeout_ms.eq(fire.timeout_ms),
            dsl::started_ms.eq(begin.started_ms),
            dsl::ended_ms.eq(begin.ended_ms),
        ))
        .on_conflict_do_nothing()
        .execute(connection)?;
    if inserted == 0 {
        return row_of(connection, fire);
    }
    if let Some(order) = fire.order {
        daemon_orders::became_run(connection, order, fire, begin.claim)?;
    }
    if begin.claim == Claim::Ours && fire.at_overlap == AtOverlap::Replace {
        rivals.mark_replaced(connection)?;
    }
    if fire.is_log {
        let logged = part(connection, manner, |connection| {
            log_start(connection, fire, &begin)
        });
        logged?.map_or_else(|why| not_logged(&fire.uk, &why), drop);
    }
    Ok(begin.claim)
}

/// The owner of the row that is there already. The answer to an earlier claim of the same caller may have been lost.
fn row_of(connection: &mut SqliteConnection, fire: &Fire) -> QueryResult<Claim> {
    use cron_run::dsl;

    let own: Option<(i16, String)> = cron_run::table
        .filter(dsl::uk.eq(&fire.uk))
        .filter(dsl::owner.eq(&fire.owner))
        .select((dsl::state, dsl::status))
        .first(connection)
        .optional()?;
    Ok(match own {
        Some((RUN_CLAIMED, _)) => Claim::Ours,
        Some((RUN_ENDED, status)) if status == RUN_SKIPPED => Claim::Skipped,
        _ => Claim::Others,
    })
}

/// The other runs of a fire's entry.
struct Rivals<'a> {
    partition: &'a str,
    entry: &'a str,
    scheduled_ms: i64,
}

impl Rivals<'_> {
    /// A run whose daemon is dead and which nobody can judge yet counts: it may go on.
    fn are_open(&self, connection: &mut SqliteConnection) -> QueryResult<bool> {
        use cron_run::dsl;

        let open = cron_run::table
            .filter(dsl::partition_name.eq(self.partition))
            .filter(dsl::state.eq_any([RUN_CLAIMED, RUN_STARTED]))
            .filter(dsl::entry.eq(self.entry))
            .filter(dsl::scheduled_ms.ne(self.scheduled_ms));
        diesel::select(diesel::dsl::exists(open)).get_result(connection)
    }

    /// Only runs of earlier seconds: of two fires that are late at once the later one goes on, whichever is claimed
    /// first. And those of a clock that was wrong.
    fn mark_replaced(&self, connection: &mut SqliteConnection) -> QueryResult<usize> {
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
    }
}

fn log_start(connection: &mut SqliteConnection, fire: &Fire, begin: &Begin) -> QueryResult<usize> {
    use crontab_log::dsl;

    let now = local_text();
    diesel::insert_into(crontab_log::table)
        .values((
            dsl::pid.eq(0),
            dsl::name.eq(&fire.name),
            dsl::exec_cmd.eq(&fire.exec_cmd),
            dsl::params.eq(&fire.params),
            dsl::result.eq(fitted(begin.result)),
            dsl::status.eq(begin.status),
            dsl::start_time.eq(begin.started_ms),
            dsl::end_time.eq(begin.ended_ms),
            dsl::cost_time.eq(0),
            dsl::partition_name.eq(&fire.partition),
            dsl::uk.eq(&fire.uk),
            dsl::create_time.eq(&now),
            dsl::update_time.eq(&now),
        ))
        .execute(connection)
}

/// The earlier owner in the condition lets one of several daemons through. The entry's overlap is checked again: a
/// daemon with an older configuration may have let another run begin meanwhile.
pub(super) fn take_fire(
    connection: &mut SqliteConnection,
    manner: Manner,
    TakeFire {
        uk,
        from,
        owner,
        at_overlap,
    }: &TakeFire,
) -> QueryResult<Claim> {
    use cron_run::dsl;

    let left = cron_run::table
        .filter(dsl::uk.eq(uk))
        .filter(dsl::owner.eq(from))
        .filter(dsl::state.eq(RUN_CLAIMED));
    let fire: Option<(String, String, i64)> = left
        .select((dsl::partition_name, dsl::entry, dsl::scheduled_ms))
        .first(connection)
        .optional()?;
    let Some((partition, entry, scheduled_ms)) = fire else {
        return Ok(Claim::Others);
    };
    diesel::update(left)
        .set(dsl::owner.eq(owner))
        .execute(connection)?;
    let rivals = Rivals {
        partition: &partition,
        entry: &entry,
        scheduled_ms,
    };
    match at_overlap {
        AtOverlap::Skip { result } if rivals.are_open(connection)? => {
            end_run(connection, manner, &skipped(uk, result))?;
            return Ok(Claim::Skipped);
        }
        AtOverlap::Replace => rivals.mark_replaced(connection).map(drop)?,
        AtOverlap::Skip { .. } | AtOverlap::Allow | AtOverlap::Wait => {}
    }
    Ok(Claim::Ours)
}

pub(super) fn run_started(
    connection: &mut SqliteConnection,
    manner: Manner,
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
    .execute(connection)?;
    let logged = part(connection, manner, |connection| {
        diesel::update(
            crontab_log::table
                .filter(crontab_log::uk.eq(uk))
                .filter(crontab_log::status.eq("running")),
        )
        .set(crontab_log::pid.eq(pid))
        .execute(connection)
    });
    logged?.map_or_else(|why| not_logged(uk, &why), drop);
    Ok(())
}

/// The process itself and the daemon that watches it both report the end; the state in the condition lets only the
/// first one through.
pub(super) fn end_run(
    connection: &mut SqliteConnection,
    manner: Manner,
    end: &RunEnd,
) -> QueryResult<bool> {
    use cron_run::dsl;

    let open = cron_run::table
        .filter(dsl::uk.eq(&end.uk))
        .filter(dsl::state.lt(RUN_ENDED));
    if let Some(owner) = &end.only_of {
        let of_owner = open.filter(dsl::owner.eq(owner)).count();
        if of_owner.get_result::<i64>(connection)? == 0 {
            return Ok(false);
        }
    }
    let mark: Option<String> = open.select(dsl::status).first(connection).optional()?;
    let mark = mark.unwrap_or_default();
    let ended = diesel::update(open)
        .set((
            dsl::state.eq(RUN_ENDED),
            dsl::status.eq(end_status(&mark, end)),
            dsl::pid.eq(end.pid),
            dsl::ended_ms.eq(end.ended_ms),
        ))
        .execute(connection)?;
    if ended == 0 {
        return Ok(false);
    }
    let logged = part(connection, manner, |connection| log_end(connection, end));
    logged?.unwrap_or_else(|why| not_logged(&end.uk, &why));
    Ok(true)
}

fn log_end(connection: &mut SqliteConnection, end: &RunEnd) -> QueryResult<()> {
    use crontab_log::dsl;

    let row = crontab_log::table
        .filter(dsl::uk.eq(&end.uk))
        .filter(dsl::status.eq("running"));
    let start: Option<i64> = row.select(dsl::start_time).first(connection).optional()?;
    let Some(start) = start else {
        return Ok(());
    };
    let cost = (end.ended_ms - start).clamp(0, i64::from(i32::MAX));
    diesel::update(row)
        .set((
            dsl::status.eq(&end.status),
            dsl::result.eq(fitted(&end.result)),
            dsl::pid.eq(end.pid),
            dsl::end_time.eq(end.ended_ms),
            dsl::cost_time.eq(cost),
            dsl::update_time.eq(local_text()),
        ))
        .execute(connection)
        .map(drop)
}
