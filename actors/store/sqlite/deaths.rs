//! Deaths and failed attempts of messages that live outside the database: counted here, judged by their source.

use diesel::prelude::*;

use crate::clock::now_ms;
use crate::store::rows::{Charge, FailedAttempt, OutsideDeath, OutsideId};
use crate::store::schema::death::{self, dsl};
use crate::store::write::{ForgetDeaths, NoteFailures, TRIM_ROWS};

/// In the transaction that counts all crashes of its boot: once, by the first daemon.
pub(super) fn charge(
    connection: &mut SqliteConnection,
    id: &OutsideId,
    charge: &Charge,
) -> QueryResult<()> {
    let row = death::table.find((id.kind, &id.source, &id.id));
    let before: Option<i32> = row.select(dsl::attempts).first(connection).optional()?;
    let attempts = before.unwrap_or(0) + i32::from(charge.certain);
    let reached = u32::try_from(attempts).unwrap_or(0);
    let now = now_ms();
    let due = now.saturating_add(charge.after_ms(reached.max(1)));
    let changed = (
        dsl::attempts.eq(attempts),
        dsl::due_ms.eq(due),
        dsl::died_ms.eq(now),
    );
    diesel::insert_into(death::table)
        .values((
            dsl::kind.eq(id.kind),
            dsl::source.eq(&id.source),
            dsl::message_id.eq(&id.id),
            dsl::deaths.eq(1),
            changed,
        ))
        .on_conflict((dsl::kind, dsl::source, dsl::message_id))
        .do_update()
        .set((dsl::deaths.eq(dsl::deaths + 1), changed))
        .execute(connection)
        .map(drop)
}

/// Each failure counts once, however often it is reported: a row has the highest attempt of its message. It is no
/// death, and makes nothing a suspect.
pub(super) fn note_failures(
    connection: &mut SqliteConnection,
    NoteFailures { failures }: &NoteFailures,
) -> QueryResult<()> {
    for FailedAttempt {
        message: id,
        attempt,
        wait_ms,
    } in failures
    {
        let row = death::table.find((id.kind, &id.source, &id.id));
        let before: Option<i32> = row.select(dsl::attempts).first(connection).optional()?;
        let attempt = i32::try_from(*attempt).unwrap_or(i32::MAX);
        let now = now_ms();
        let changed = (
            dsl::attempts.eq(attempt.max(before.unwrap_or(0))),
            dsl::due_ms.eq(now.saturating_add(*wait_ms)),
            dsl::died_ms.eq(now),
        );
        diesel::insert_into(death::table)
            .values((
                dsl::kind.eq(id.kind),
                dsl::source.eq(&id.source),
                dsl::message_id.eq(&id.id),
                dsl::deaths.eq(0),
                changed,
            ))
            .on_conflict((dsl::kind, dsl::source, dsl::message_id))
            .do_update()
            .set(changed)
            .execute(connection)?;
    }
    Ok(())
}

/// They are finished.
pub(super) fn forget(
    connection: &mut SqliteConnection,
    ForgetDeaths { ids }: &ForgetDeaths,
) -> QueryResult<usize> {
    let mut forgotten = 0;
    for id in ids {
        let row = death::table.find((id.kind, &id.source, &id.id));
        forgotten += diesel::delete(row).execute(connection)?;
    }
    Ok(forgotten)
}

/// At most `TRIM_ROWS` rows whose message nobody came back for.
pub(super) fn trim(connection: &mut SqliteConnection, before_ms: i64) -> QueryResult<()> {
    let old: Vec<(String, String, String)> = death::table
        .filter(dsl::died_ms.lt(before_ms))
        .select((dsl::kind, dsl::source, dsl::message_id))
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    for row in &old {
        diesel::delete(death::table.find((&row.0, &row.1, &row.2))).execute(connection)?;
    }
    Ok(())
}

/// All that are known of one source.
pub(super) fn of_source(
    connection: &mut SqliteConnection,
    kind: &str,
    source: &str,
) -> QueryResult<Vec<OutsideDeath>> {
    let now = now_ms();
    let rows: Vec<(String, i32, i32, i64)> = death::table
        .filter(dsl::kind.eq(kind))
        .filter(dsl::source.eq(source))
        .order(dsl::message_id)
        .select((dsl::message_id, dsl::attempts, dsl::deaths, dsl::due_ms))
        .load(connection)?;
    let of_row = |(id, attempts, deaths, due_ms): (String, i32, i32, i64)| OutsideDeath {
        id,
        attempts: u32::try_from(attempts).unwrap_or(0),
        suspect: deaths > 0,
        wait_ms: due_ms.saturating_sub(now).max(0),
    };
    Ok(rows.into_iter().map(of_row).collect())
}
