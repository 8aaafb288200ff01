//! What people order, and who ordered what.

use diesel::prelude::*;

use crate::clock::now_ms;
use crate::store::rows::{
    AuditRow, DeadLetterOrder, ENDED_PAUSES_MS, PauseChange, PauseOrder, PauseRow,
};
use crate::store::schema::{audit, pause};
use crate::store::truncate::{Plain, audited};
use crate::store::views::{Paused, came_of};

pub(super) fn set_pause(
    connection: &mut SqliteConnection,
    order: &PauseOrder,
) -> QueryResult<bool> {
    use pause::dsl;

    let now = now_ms();
    let this = pause::table
        .filter(dsl::environment.eq(&order.environment))
        .filter(dsl::kind.eq(order.kind))
        .filter(dsl::name.eq(&order.name));
    let ended = this.select(dsl::until_ms).first(connection).optional()?;
    let change = order.change(ended);
    match change {
        None => 0,
        Some(PauseChange::First) => diesel::insert_into(pause::table)
            .values((
                dsl::environment.eq(&order.environment),
                dsl::kind.eq(order.kind),
                dsl::name.eq(&order.name),
                dsl::since_ms.eq(now),
                dsl::ordered_by.eq(&order.ordered_by),
            ))
            .execute(connection)?,
        Some(PauseChange::Again) => diesel::update(this)
            .set((
                dsl::since_ms.eq(now),
                dsl::until_ms.eq(None::<i64>),
                dsl::ordered_by.eq(&order.ordered_by),
            ))
            .execute(connection)?,
        Some(PauseChange::End) => diesel::update(this)
            .set(dsl::until_ms.eq(now))
            .execute(connection)?,
    };
    audit(
        connection,
        (&order.environment, &order.ordered_by),
        order.action(),
        (&order.target, came_of(change)),
    )?;
    Ok(change.is_some())
}

/// Writes down an order, in the transaction that does it: in which environment and whose it was, what it does, to what,
/// and what came of it. Answers the row's id.
pub(super) fn audit(
    connection: &mut SqliteConnection,
    (environment, ordered_by): (&str, &str),
    action: &str,
    (target, result): (&str, &str),
) -> QueryResult<i64> {
    diesel::insert_into(audit::table)
        .values((
            audit::environment.eq(environment),
            audit::at_ms.eq(now_ms()),
            audit::ordered_by.eq(ordered_by),
            audit::action.eq(action),
            audit::target.eq(audited(target, Plain::AsItIs)),
            audit::result.eq(audited(result, Plain::AsItIs)),
        ))
        .returning(audit::id)
        .get_result(connection)
}

/// Writes down how many dead letters an order has done so far, with this portion of it, in the portion's transaction:
/// in one row for all its portions, and none as long as it has done nothing. Answers the row's id.
pub(super) fn audit_dead_letters(
    connection: &mut SqliteConnection,
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
                .execute(connection)?;
            Ok(Some(row))
        }
        None if done == 0 => Ok(None),
        None => {
            let whose = (order.environment.as_str(), order.ordered_by.as_str());
            let row = audit(connection, whose, action, (&order.target, &result))?;
            Ok(Some(row))
        }
    }
}

/// An order that was given to one daemon, and not by a row of its own.
pub(super) fn write_down(connection: &mut SqliteConnection, order: &AuditRow) -> QueryResult<()> {
    let whose = (order.environment.as_str(), order.ordered_by.as_str());
    let what = (&*order.target, &*order.result);
    audit(connection, whose, order.action, what)?;
    Ok(())
}

pub(super) fn pauses(
    connection: &mut SqliteConnection,
    environment: &str,
) -> QueryResult<Vec<PauseRow>> {
    use pause::dsl;

    let recent = dsl::until_ms.gt(now_ms() - ENDED_PAUSES_MS);
    let rows: Vec<Paused> = pause::table
        .filter(dsl::environment.eq(environment))
        .filter(dsl::until_ms.is_null().or(recent))
        .order((dsl::kind, dsl::name))
        .select(Paused::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(Paused::row).collect())
}
