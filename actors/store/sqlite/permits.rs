//! The limits of rates. See `store/permits.rs`.

use diesel::prelude::*;

use crate::clock::now_ms;
use crate::store::permits::{Granted, PermitAsk};
use crate::store::schema::rate_limit::{self as limits, dsl};

/// In a transaction that has the write lock from its beginning.
pub(super) fn take(connection: &mut SqliteConnection, ask: &PermitAsk) -> QueryResult<Granted> {
    let free_us: Option<i64> = limits::table
        .find(&ask.name)
        .select(dsl::free_us)
        .first(connection)
        .optional()?;
    let (free_us, granted) = ask.grant(free_us.unwrap_or(0), now_ms() * 1000);
    if let Granted::Permits(_) = granted {
        diesel::insert_into(limits::table)
            .values((
                dsl::name.eq(&ask.name),
                dsl::shown.eq(&ask.shown),
                dsl::free_us.eq(free_us),
            ))
            .on_conflict(dsl::name)
            .do_update()
            .set(dsl::free_us.eq(free_us))
            .execute(connection)?;
    }
    Ok(granted)
}
