//! What people order, and who ordered what.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, NOW_MS};
use crate::db::rows::{ENDED_PAUSES_MS, PauseChange, PauseOrder, PauseRow};
use crate::db::schema::{audit, pause};
use crate::db::views::{Paused, came_of};
use crate::db::write::Written;

/// Two that pause one thing for the first time at once collide on its key; the one that lost tries its transaction again.
pub(super) async fn set_pause(
    connection: &mut Connection,
    order: &PauseOrder,
) -> QueryResult<Written> {
    use pause::dsl;

    let ordered_by = connection.limits.name(&order.ordered_by);
    let this = pause::table
        .filter(dsl::environment.eq(&order.environment))
        .filter(dsl::kind.eq(order.kind))
        .filter(dsl::name.eq(&order.name));
    let ended = this
        .select(dsl::until_ms)
        .for_update()
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
                    dsl::since_ms.eq(sql::<BigInt>(NOW_MS)),
                    dsl::ordered_by.eq(&ordered_by),
                ))
                .execute(connection)
                .await?
        }
        Some(PauseChange::Again) => {
            diesel::update(this)
                .set((
                    dsl::since_ms.eq(sql::<BigInt>(NOW_MS)),
                    dsl::until_ms.eq(None::<i64>),
                    dsl::ordered_by.eq(&ordered_by),
                ))
                .execute(connection)
                .await?
        }
        Some(PauseChange::End) => {
            diesel::update(this)
                .set(dsl::until_ms.eq(sql::<Nullable<BigInt>>(NOW_MS)))
                .execute(connection)
                .await?
        }
    };
    diesel::insert_into(audit::table)
        .values((
            audit::environment.eq(&order.environment),
            audit::at_ms.eq(sql::<BigInt>(NOW_MS)),
            audit::ordered_by.eq(&ordered_by),
            audit::action.eq(order.action()),
            audit::target.eq(connection.limits.run_result(&order.target)),
            audit::result.eq(came_of(change)),
        ))
        .execute(connection)
        .await?;
    Ok(Written::Count(usize::from(change.is_some())))
}

pub(super) async fn pauses(
    connection: &mut Connection,
    environment: &str,
) -> QueryResult<Vec<PauseRow>> {
    use pause::dsl;

    let ended = dsl::until_ms.assume_not_null();
    let recent = ended.gt(sql::<BigInt>(NOW_MS) - ENDED_PAUSES_MS);
    let rows: Vec<Paused> = pause::table
        .filter(dsl::environment.eq(environment))
        .filter(dsl::until_ms.is_null().or(recent))
        .order((dsl::kind, dsl::name))
        .select(Paused::as_select())
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(Paused::row).collect())
}
