//! The limits of rates. See `store/permits.rs`. By the database's clock: those of the daemons may differ.

use std::time::Duration;

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl};
use crate::store::permits::{Granted, PermitAsk};
use crate::store::schema::rate_limit::{self as limits, dsl};

/// Another daemon takes permits of the same limit: it commits within milliseconds, and nobody waits for it here, as other writes
/// are in this transaction.
const BUSY: Duration = Duration::from_millis(10);

pub(in crate::store) async fn take(
    connection: &mut Connection,
    ask: &PermitAsk,
) -> QueryResult<Granted> {
    let this = || limits::table.filter(dsl::name.eq(&ask.name));
    let locked: Option<i64> = dialect::for_update_skip_locked!(this().select(dsl::free_us))
        .first(connection)
        .await
        .optional()?;
    let now_ms: i64 = dialect::clock_ms(connection).await?;
    let (free_us, granted) = ask.grant(locked.unwrap_or(0), now_ms * 1000);
    if let Granted::Wait(_) = granted {
        return Ok(granted);
    }
    match locked {
        Some(_) => {
            diesel::update(this())
                .set(dsl::free_us.eq(free_us))
                .execute(connection)
                .await?;
        }
        None => {
            let there: Option<i64> = this()
                .select(dsl::free_us)
                .first(connection)
                .await
                .optional()?;
            if there.is_some() {
                return Ok(Granted::Wait(BUSY));
            }
            // Of two that make it at once the second one fails with its key, and is tried again.
            diesel::insert_into(limits::table)
                .values((
                    dsl::name.eq(&ask.name),
                    dsl::shown.eq(connection.limits.name(&ask.shown)),
                    dsl::free_us.eq(free_us),
                ))
                .execute(connection)
                .await?;
        }
    }
    Ok(granted)
}
