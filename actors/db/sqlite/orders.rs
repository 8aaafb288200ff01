//! What people order, and who ordered what.

use diesel::prelude::*;

use crate::clock::now_ms;
use crate::db::rows::{ENDED_PAUSES_MS, PauseChange, PauseOrder, PauseRow};
use crate::db::schema::{audit, pause};
use crate::db::views::{Paused, came_of};
use crate::db::write::Written;

pub(super) fn set_pause(
    connection: &mut SqliteConnection,
    order: &PauseOrder,
) -> QueryResult<Written> {
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
    diesel::insert_into(audit::table)
        .values((
            audit::environment.eq(&order.environment),
            audit::at_ms.eq(now),
            audit::ordered_by.eq(&order.ordered_by),
            audit::action.eq(order.action()),
            audit::target.eq(&order.target),
            audit::result.eq(came_of(change)),
        ))
        .execute(connection)?;
    Ok(Written::Count(usize::from(change.is_some())))
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
