//! What people order, and who ordered what.

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl, now, now_plus};
use crate::store::rows::{
    AuditRow, DeadLetterOrder, ENDED_PAUSES_MS, PauseChange, PauseOrder, PauseRow,
};
use crate::store::schema::{audit, pause};
use crate::store::views::{Paused, came_of};

/// Two that pause one thing for the first time at once collide on its key; the one that lost tries its transaction
/// again.
pub(in crate::store) async fn set_pause(
    connection: &mut Connection,
    order: &PauseOrder,
) -> QueryResult<bool> {
    use pause::dsl;

    let ordered_by = connection.limits.name(&order.ordered_by);
    let this = pause::table
        .filter(dsl::environment.eq(&order.environment))
        .filter(dsl::kind.eq(order.kind))
        .filter(dsl::name.eq(&order.name));
    let ended = dialect::for_update!(this.select(dsl::until_ms))
        .first(connection)
        .await
        .optional()?;
    let change = order.change(ended);
    match change {
        None => 0,
        Some(PauseChange::First) => {
            diesel::insert_into(pause::table)
                .values((
                    dsl::environment.eq(&order.environment),
                    dsl::kind.eq(order.kind),
                    dsl::name.eq(&order.name),
                    dsl::since_ms.eq(now()),
                    dsl::ordered_by.eq(&ordered_by),
                ))
                .execute(connection)
                .await?
        }
        Some(PauseChange::Again) => {
            diesel::update(this)
                .set((
                    dsl::since_ms.eq(now()),
                    dsl::until_ms.eq(None::<i64>),
                    dsl::ordered_by.eq(&ordered_by),
                ))
                .execute(connection)
                .await?
        }
        Some(PauseChange::End) => {
            diesel::update(this)
                .set(dsl::until_ms.eq(now().nullable()))
                .execute(connection)
                .await?
        }
    };
    audit(
        connection,
        (&order.environment, &order.ordered_by),
        order.action(),
        (&order.target, came_of(change)),
    )
    .await?;
    Ok(change.is_some())
}

/// Writes down an order, in the transaction that does it: in which environment and whose it was, what it does, to what,
/// and what came of it. Answers the row's id.
pub(in crate::store) async fn audit(
    connection: &mut Connection,
    (environment, ordered_by): (&str, &str),
    action: &str,
    (target, result): (&str, &str),
) -> QueryResult<i64> {
    let limits = connection.limits;
    let insert = diesel::insert_into(audit::table).values((
        audit::environment.eq(environment),
        audit::at_ms.eq(now()),
        audit::ordered_by.eq(limits.name(ordered_by)),
        audit::action.eq(action),
        audit::target.eq(limits.audited(target)),
        audit::result.eq(limits.audited(result)),
    ));
    let ids = dialect::insert_returning_ids!(connection, insert, audit::id, 1);
    Ok(ids.into_iter().next().unwrap_or_default())
}

/// Adds this chunk to the number of dead letters that an order has done, in the chunk's transaction. An order has one audit
/// row, and none while it has done nothing. Returns its id.
pub(in crate::store) async fn audit_dead_letters(
    connection: &mut Connection,
    order: Option<&DeadLetterOrder>,
    action: &str,
    done: usize,
) -> QueryResult<Option<i64>> {
    let Some(order) = order else {
        return Ok(None);
    };
    let result = order.result(done);
    match order.row {
        Some(row) => {
            diesel::update(audit::table.filter(audit::id.eq(row)))
                .set(audit::result.eq(&result))
                .execute(connection)
                .await?;
            Ok(Some(row))
        }
        None if done == 0 => Ok(None),
        None => {
            let whose = (order.environment.as_str(), order.ordered_by.as_str());
            let row = audit(connection, whose, action, (&order.target, &result)).await?;
            Ok(Some(row))
        }
    }
}

/// An order that was given to one daemon, and not by a row of its own.
pub(in crate::store) async fn write_down(
    connection: &mut Connection,
    order: &AuditRow,
) -> QueryResult<()> {
    let whose = (order.environment.as_str(), order.ordered_by.as_str());
    let what = (&*order.target, &*order.result);
    audit(connection, whose, order.action, what).await?;
    Ok(())
}

pub(in crate::store) async fn pauses(
    connection: &mut Connection,
    environment: &str,
) -> QueryResult<Vec<PauseRow>> {
    use pause::dsl;

    let ended = dsl::until_ms.assume_not_null();
    let recent = ended.gt(now_plus(-ENDED_PAUSES_MS));
    let rows: Vec<Paused> = pause::table
        .filter(dsl::environment.eq(environment))
        .filter(dsl::until_ms.is_null().or(recent))
        .order((dsl::kind, dsl::name))
        .select(Paused::as_select())
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(Paused::row).collect())
}
