//! Orders that daemons carry out.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::orders::audit;
use crate::clock::now_ms;
use crate::store::columns::{
    ALIVE, ORDER_ENDED, ORDER_UNDER_WAY, ORDER_WAITING, RUN_ENDED, RUN_ENDING,
};
use crate::store::daemon_orders::{
    CHECKS_MS, CronRun, ListedRun, NewOrder, OfRun, Open, OpenOrder, OrderEnd, OrderKind, RunOrder,
    RunPlace, RunsAsked, came_of_run, newest_of,
};
use crate::store::rows::{Claim, Fire};
use crate::store::schema::{boot, cron_entry, cron_run, crontab_log, daemon_order};
use crate::store::truncate::{RESULT_CHARS, shorten};
use crate::store::write::{TRIM_ROWS, TakeOrder, TrimOrders};

pub(super) fn give(connection: &mut SqliteConnection, orders: &[NewOrder]) -> QueryResult<()> {
    use daemon_order::dsl;

    let now = now_ms();
    for order in orders {
        diesel::insert_into(daemon_order::table)
            .values((
                dsl::environment.eq(&order.environment),
                dsl::partition_name.eq(&order.partition),
                dsl::kind.eq(order.kind.column()),
                dsl::name.eq(&order.name),
                dsl::entry.eq(&order.entry),
                dsl::uk.eq(&order.uk),
                dsl::params.eq(&order.params),
                dsl::ordered_by.eq(&order.ordered_by),
                dsl::ordered_ms.eq(now),
                dsl::state.eq(ORDER_WAITING),
            ))
            .execute(connection)?;
        let target = order.kind.describe(&order.name, &order.uk);
        audit(
            connection,
            (&order.environment, &order.ordered_by),
            order.kind.column(),
            (&target, "ordered"),
        )?;
    }
    Ok(())
}

/// Whether the order of a fire still waits.
pub(super) fn waits(connection: &mut SqliteConnection, id: i64) -> QueryResult<bool> {
    let this = daemon_order::table
        .filter(daemon_order::id.eq(id))
        .filter(daemon_order::state.eq(ORDER_WAITING));
    diesel::select(diesel::dsl::exists(this)).get_result(connection)
}

/// The order ends with the row of its run, in one transaction.
pub(super) fn became_run(
    connection: &mut SqliteConnection,
    id: i64,
    fire: &Fire,
    claim: Claim,
) -> QueryResult<()> {
    let this = daemon_order::table.filter(daemon_order::id.eq(id));
    diesel::update(this)
        .set(daemon_order::owner.eq(&fire.owner))
        .execute(connection)?;
    let end = OrderEnd {
        id,
        of_owner: fire.owner.clone(),
        result: came_of_run(&fire.uk, claim),
    };
    self::end(connection, &end).map(drop)
}

/// Takes the order, which has no owner or a dead one, and marks the run that it is to end. Only one of several daemons
/// takes it.
pub(super) fn take(
    connection: &mut SqliteConnection,
    &TakeOrder {
        id,
        ref from,
        ref owner,
    }: &TakeOrder,
) -> QueryResult<bool> {
    use daemon_order::dsl;

    let left = daemon_order::table
        .filter(dsl::id.eq(id))
        .filter(dsl::owner.eq(from))
        .filter(dsl::state.lt(ORDER_ENDED));
    let uk: Option<String> = left.select(dsl::uk).first(connection).optional()?;
    let Some(uk) = uk else {
        return Ok(false);
    };
    let this = daemon_order::table.filter(dsl::id.eq(id));
    diesel::update(this)
        .set((dsl::owner.eq(owner), dsl::state.eq(ORDER_UNDER_WAY)))
        .execute(connection)?;
    let open = cron_run::table
        .filter(cron_run::uk.eq(uk))
        .filter(cron_run::state.lt(RUN_ENDED));
    diesel::update(open)
        .set(cron_run::status.eq(RUN_ENDING))
        .execute(connection)?;
    Ok(true)
}

/// Only the first end counts.
pub(super) fn end(connection: &mut SqliteConnection, end: &OrderEnd) -> QueryResult<bool> {
    use daemon_order::dsl;

    let open = daemon_order::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::owner.eq(&end.of_owner))
        .filter(dsl::state.lt(ORDER_ENDED));
    let order: Option<(String, String, String, String, String)> = open
        .select((
            dsl::environment,
            dsl::ordered_by,
            dsl::kind,
            dsl::name,
            dsl::uk,
        ))
        .first(connection)
        .optional()?;
    let Some((environment, ordered_by, kind, name, uk)) = order else {
        return Ok(false);
    };
    let this = daemon_order::table.filter(dsl::id.eq(end.id));
    let result = shorten(&end.result, RESULT_CHARS);
    diesel::update(this)
        .set((
            dsl::state.eq(ORDER_ENDED),
            dsl::ended_ms.eq(now_ms()),
            dsl::result.eq(&result),
        ))
        .execute(connection)?;
    let target = OrderKind::of_column(&kind).map(|kind| kind.describe(&name, &uk));
    audit(
        connection,
        (&environment, &ordered_by),
        &kind,
        (&target.unwrap_or(name), &result),
    )?;
    Ok(true)
}

/// At most `TRIM_ROWS` that ended before that.
pub(super) fn trim(
    connection: &mut SqliteConnection,
    &TrimOrders { before_ms }: &TrimOrders,
) -> QueryResult<usize> {
    use daemon_order::dsl;

    let old: Vec<i64> = daemon_order::table
        .filter(dsl::state.eq(ORDER_ENDED))
        .filter(dsl::ended_ms.lt(before_ms))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    diesel::delete(daemon_order::table.filter(dsl::id.eq_any(old))).execute(connection)
}

pub(super) fn open(
    connection: &mut SqliteConnection,
    environment: &str,
) -> QueryResult<Vec<OpenOrder>> {
    use daemon_order::dsl;

    let now = now_ms();
    let of_environment = || daemon_order::table.filter(dsl::environment.eq(environment));
    let mut rows: Vec<Open> = of_environment()
        .filter(dsl::state.eq_any([ORDER_WAITING, ORDER_UNDER_WAY]))
        .order(dsl::id)
        .select(Open::as_select())
        .load(connection)?;
    let checks: Vec<Open> = of_environment()
        .filter(dsl::state.eq(ORDER_ENDED))
        .filter(dsl::kind.eq(OrderKind::Check.column()))
        .filter(dsl::ordered_ms.gt(now - CHECKS_MS))
        .select(Open::as_select())
        .load(connection)?;
    rows.extend(checks);
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let alive: Vec<String> = boot::table
        .filter(boot::state.eq(ALIVE))
        .select(boot::owner)
        .load(connection)?;
    let orders = rows.into_iter().filter_map(|row| row.order(now, &alive));
    Ok(orders.collect())
}

/// What was ordered about these runs.
pub(super) fn of_runs(
    connection: &mut SqliteConnection,
    uks: &[String],
) -> QueryResult<Vec<RunOrder>> {
    let rows: Vec<OfRun> = daemon_order::table
        .filter(daemon_order::uk.eq_any(uks))
        .order(daemon_order::id)
        .select(OfRun::as_select())
        .load(connection)?;
    Ok(rows.into_iter().filter_map(OfRun::order).collect())
}

/// The newest orders of runs that have no row: they wait, or were never carried out.
pub(super) fn without_run(
    connection: &mut SqliteConnection,
    environment: &str,
    asked: &RunsAsked,
) -> QueryResult<Vec<RunOrder>> {
    use daemon_order::dsl;

    let name = asked.of.as_ref().map(|(name, _)| name);
    let mut orders = daemon_order::table
        .filter(dsl::environment.eq(environment))
        .filter(dsl::partition_name.eq(&asked.partition))
        .filter(dsl::kind.eq(OrderKind::Run.column()))
        .filter(dsl::owner.eq(""))
        .filter(dsl::id.lt(asked.before.order))
        .into_boxed();
    if let Some(name) = name {
        orders = orders.filter(dsl::name.eq(name));
    }
    let rows: Vec<OfRun> = orders
        .order(dsl::id.desc())
        .limit(asked.limit)
        .select(OfRun::as_select())
        .load(connection)?;
    Ok(rows.into_iter().filter_map(OfRun::order).collect())
}

/// The newest runs of the entries of a name first, each entry's from the index: however many rows others have.
pub(super) fn runs(
    connection: &mut SqliteConnection,
    asked: &RunsAsked,
) -> QueryResult<Vec<CronRun>> {
    let of_partition = || cron_run::table.filter(cron_run::partition_name.eq(&asked.partition));
    let Some((name, keys)) = &asked.of else {
        return Ok(Vec::new());
    };
    let mut entries: Vec<String> = cron_entry::table
        .filter(cron_entry::partition_name.eq(&asked.partition))
        .filter(cron_entry::name.eq(name))
        .select(cron_entry::entry)
        .load(connection)?;
    entries.extend(keys.iter().cloned());
    entries.sort_unstable();
    entries.dedup();
    let RunPlace {
        scheduled_ms, run, ..
    } = asked.before;
    let mut all = Vec::new();
    for entry in entries {
        let earlier = cron_run::scheduled_ms.lt(scheduled_ms);
        let older = earlier.or(cron_run::id.lt(run));
        let rows: Vec<ListedRun> = of_partition()
            .filter(cron_run::entry.eq(entry))
            .filter(cron_run::scheduled_ms.le(scheduled_ms))
            .filter(older)
            .order(cron_run::scheduled_ms.desc())
            .limit(asked.limit)
            .select(ListedRun::as_select())
            .load(connection)?;
        all.extend(rows.into_iter().map(CronRun::from));
    }
    Ok(newest_of(all, asked.limit))
}

pub(super) fn run(connection: &mut SqliteConnection, uk: &str) -> QueryResult<Option<CronRun>> {
    let row: Option<ListedRun> = cron_run::table
        .filter(cron_run::uk.eq(uk))
        .select(ListedRun::as_select())
        .first(connection)
        .optional()?;
    Ok(row.map(CronRun::from))
}

pub(super) fn results(
    connection: &mut SqliteConnection,
    uks: &[String],
) -> QueryResult<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> = crontab_log::table
        .filter(crontab_log::uk.eq_any(uks))
        .select((crontab_log::uk, crontab_log::result))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}
