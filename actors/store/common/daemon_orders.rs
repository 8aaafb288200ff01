//! Orders that daemons carry out.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl, crontab_log, now, now_plus};
use super::orders::audit;
use crate::store::columns::{
    ALIVE, ORDER_ENDED, ORDER_UNDER_WAY, ORDER_WAITING, RUN_ENDED, RUN_ENDING,
};
use crate::store::daemon_orders::{
    CHECKS_MS, CronRun, ListedRun, NewOrder, OfRun, Open, OpenOrder, OrderEnd, OrderKind, RunOrder,
    RunPlace, RunsAsked, came_of_run, newest_of,
};
use crate::store::rows::{Claim, Fire};
use crate::store::schema::{boot, cron_entry, cron_run, daemon_order};
use crate::store::write::{TRIM_ROWS, TakeOrder, TrimOrders};

pub(in crate::store) async fn give(
    connection: &mut Connection,
    orders: &[NewOrder],
) -> QueryResult<()> {
    use daemon_order::dsl;

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
                dsl::ordered_by.eq(connection.limits.name(&order.ordered_by)),
                dsl::ordered_ms.eq(now()),
                dsl::state.eq(ORDER_WAITING),
            ))
            .execute(connection)
            .await?;
        let target = order.kind.describe(&order.name, &order.uk);
        audit(
            connection,
            (&order.environment, &order.ordered_by),
            order.kind.column(),
            (&target, "ordered"),
        )
        .await?;
    }
    Ok(())
}

/// Whether the order of a fire still waits. It is locked until the transaction ends: of two daemons that claim its run the
/// second one sees what the first one did.
pub(in crate::store) async fn waits(connection: &mut Connection, id: i64) -> QueryResult<bool> {
    let state: Option<i16> = dialect::for_update!(
        daemon_order::table
            .filter(daemon_order::id.eq(id))
            .select(daemon_order::state)
    )
    .first(connection)
    .await
    .optional()?;
    Ok(state == Some(ORDER_WAITING))
}

/// The order ends with the row of its run, in one transaction.
pub(in crate::store) async fn became_run(
    connection: &mut Connection,
    id: i64,
    fire: &Fire,
    claim: Claim,
) -> QueryResult<()> {
    let this = daemon_order::table.filter(daemon_order::id.eq(id));
    diesel::update(this)
        .set(daemon_order::owner.eq(&fire.owner))
        .execute(connection)
        .await?;
    let end = OrderEnd {
        id,
        of_owner: fire.owner.clone(),
        result: came_of_run(&fire.uk, claim),
    };
    self::end(connection, &end).await.map(drop)
}

/// Takes the order, which has no owner or a dead one, and marks the run that it is to end. Only one of several daemons
/// takes it.
pub(in crate::store) async fn take(
    connection: &mut Connection,
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
    let uk: Option<String> = dialect::for_update!(left.select(dsl::uk))
        .first(connection)
        .await
        .optional()?;
    let Some(uk) = uk else {
        return Ok(false);
    };
    let this = daemon_order::table.filter(dsl::id.eq(id));
    diesel::update(this)
        .set((dsl::owner.eq(owner), dsl::state.eq(ORDER_UNDER_WAY)))
        .execute(connection)
        .await?;
    let open = cron_run::table
        .filter(cron_run::uk.eq(uk))
        .filter(cron_run::state.lt(RUN_ENDED));
    diesel::update(open)
        .set(cron_run::status.eq(RUN_ENDING))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Only the first end counts.
pub(in crate::store) async fn end(
    connection: &mut Connection,
    end: &OrderEnd,
) -> QueryResult<bool> {
    use daemon_order::dsl;

    let open = daemon_order::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::owner.eq(&end.of_owner))
        .filter(dsl::state.lt(ORDER_ENDED));
    let order: Option<(String, String, String, String, String)> =
        dialect::for_update!(open.select((
            dsl::environment,
            dsl::ordered_by,
            dsl::kind,
            dsl::name,
            dsl::uk,
        )))
        .first(connection)
        .await
        .optional()?;
    let Some((environment, ordered_by, kind, name, uk)) = order else {
        return Ok(false);
    };
    let this = daemon_order::table.filter(dsl::id.eq(end.id));
    diesel::update(this)
        .set((
            dsl::state.eq(ORDER_ENDED),
            dsl::ended_ms.eq(now().nullable()),
            dsl::result.eq(connection.limits.run_result(&end.result)),
        ))
        .execute(connection)
        .await?;
    let target = OrderKind::of_column(&kind).map(|kind| kind.describe(&name, &uk));
    audit(
        connection,
        (&environment, &ordered_by),
        &kind,
        (&target.unwrap_or(name), &end.result),
    )
    .await?;
    Ok(true)
}

/// At most `TRIM_ROWS` that ended before that.
pub(in crate::store) async fn trim(
    connection: &mut Connection,
    &TrimOrders { before_ms }: &TrimOrders,
) -> QueryResult<usize> {
    use daemon_order::dsl;

    let old: Vec<i64> = daemon_order::table
        .filter(dsl::state.eq(ORDER_ENDED))
        .filter(dsl::ended_ms.lt(before_ms))
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await?;
    diesel::delete(daemon_order::table.filter(dsl::id.eq_any(old)))
        .execute(connection)
        .await
}

pub(in crate::store) async fn open(
    connection: &mut Connection,
    environment: &str,
) -> QueryResult<Vec<OpenOrder>> {
    use daemon_order::dsl;

    let of_environment = || daemon_order::table.filter(dsl::environment.eq(environment));
    let mut rows: Vec<Open> = of_environment()
        .filter(dsl::state.eq_any([ORDER_WAITING, ORDER_UNDER_WAY]))
        .order(dsl::id)
        .select(Open::as_select())
        .load(connection)
        .await?;
    let checks: Vec<Open> = of_environment()
        .filter(dsl::state.eq(ORDER_ENDED))
        .filter(dsl::kind.eq(OrderKind::Check.column()))
        .filter(dsl::ordered_ms.gt(now_plus(-CHECKS_MS)))
        .select(Open::as_select())
        .load(connection)
        .await?;
    rows.extend(checks);
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let now: i64 = dialect::clock_ms(connection).await?;
    let alive: Vec<String> = boot::table
        .filter(boot::state.eq(ALIVE))
        .select(boot::owner)
        .load(connection)
        .await?;
    let orders = rows.into_iter().filter_map(|row| row.order(now, &alive));
    Ok(orders.collect())
}

/// What was ordered about these runs.
pub(in crate::store) async fn of_runs(
    connection: &mut Connection,
    uks: &[String],
) -> QueryResult<Vec<RunOrder>> {
    let rows: Vec<OfRun> = daemon_order::table
        .filter(daemon_order::uk.eq_any(uks))
        .order(daemon_order::id)
        .select(OfRun::as_select())
        .load(connection)
        .await?;
    Ok(rows.into_iter().filter_map(OfRun::order).collect())
}

/// The newest orders of runs that have no row: they wait, or were never carried out.
pub(in crate::store) async fn without_run(
    connection: &mut Connection,
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
        .load(connection)
        .await?;
    Ok(rows.into_iter().filter_map(OfRun::order).collect())
}

/// The newest runs of the entries of a name first, each entry's from the index: however many rows others have.
pub(in crate::store) async fn runs(
    connection: &mut Connection,
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
        .load(connection)
        .await?;
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
            .load(connection)
            .await?;
        all.extend(rows.into_iter().map(CronRun::from));
    }
    Ok(newest_of(all, asked.limit))
}

pub(in crate::store) async fn run(
    connection: &mut Connection,
    uk: &str,
) -> QueryResult<Option<CronRun>> {
    let row: Option<ListedRun> = cron_run::table
        .filter(cron_run::uk.eq(uk))
        .select(ListedRun::as_select())
        .first(connection)
        .await
        .optional()?;
    Ok(row.map(CronRun::from))
}

pub(in crate::store) async fn results(
    connection: &mut Connection,
    uks: &[String],
) -> QueryResult<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> = crontab_log::table
        .filter(crontab_log::uk.eq_any(uks))
        .select((crontab_log::uk, crontab_log::result))
        .load(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
