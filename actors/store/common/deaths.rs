//! Deaths and failed attempts of messages that live outside the database: counted here, judged by their source.

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl, now, now_plus};
use crate::store::rows::{Crash, OutsideDeath, OutsideId};
use crate::store::schema::death::{self, dsl};
use crate::store::write::{ForgetDeaths, NoteFailures, TRIM_ROWS};

/// In the transaction that counts all crashes of its boot: once, by the first daemon. Two daemons that record crashes
/// of the same message for different boots collide on its key, and the second one tries its transaction again.
pub(in crate::store) async fn record_crash(
    connection: &mut Connection,
    id: &OutsideId,
    crash: &Crash,
) -> QueryResult<()> {
    let note = |before: i32| {
        let attempts = before + i32::from(crash.certain);
        let reached = u32::try_from(attempts).unwrap_or(0);
        Note {
            crashes: 1,
            attempts,
            wait_ms: crash.after_ms(reached.max(1)),
        }
    };
    write(connection, id, note).await
}

/// Each failure counts once, however often it is reported: a row has the highest attempt of its message. It is no
/// death, and makes nothing a suspect.
pub(in crate::store) async fn note_failures(
    connection: &mut Connection,
    NoteFailures { failures }: &NoteFailures,
) -> QueryResult<()> {
    for failure in failures {
        let attempt = i32::try_from(failure.attempt).unwrap_or(i32::MAX);
        let note = |before: i32| Note {
            crashes: 0,
            attempts: attempt.max(before),
            wait_ms: failure.wait_ms,
        };
        write(connection, &failure.message, note).await?;
    }
    Ok(())
}

/// What a row says from now on.
struct Note {
    /// Added to those that it counts.
    crashes: i32,
    attempts: i32,
    /// Until the next attempt.
    wait_ms: i64,
}

/// Writes what `note` makes of the attempts that are counted already. The row is locked before it is read.
async fn write(
    connection: &mut Connection,
    id: &OutsideId,
    note: impl FnOnce(i32) -> Note,
) -> QueryResult<()> {
    let row = death::table.find((id.kind, &id.source, &id.id));
    let before: Option<i32> = dialect::for_update!(row.select(dsl::attempts))
        .first(connection)
        .await
        .optional()?;
    let note = note(before.unwrap_or(0));
    let changed = (
        dsl::attempts.eq(note.attempts),
        dsl::due_ms.eq(now_plus(note.wait_ms)),
        dsl::died_ms.eq(now()),
    );
    if before.is_some() {
        diesel::update(row)
            .set((dsl::deaths.eq(dsl::deaths + note.crashes), changed))
            .execute(connection)
            .await?;
    } else {
        diesel::insert_into(death::table)
            .values((
                dsl::kind.eq(id.kind),
                dsl::source.eq(&id.source),
                dsl::message_id.eq(&id.id),
                dsl::deaths.eq(note.crashes),
                changed,
            ))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// They are finished.
pub(in crate::store) async fn forget(
    connection: &mut Connection,
    ForgetDeaths { ids }: &ForgetDeaths,
) -> QueryResult<usize> {
    let mut forgotten = 0;
    for id in ids {
        let row = death::table.find((id.kind, &id.source, &id.id));
        forgotten += diesel::delete(row).execute(connection).await?;
    }
    Ok(forgotten)
}

/// At most `TRIM_ROWS` rows whose message nobody came back for.
pub(in crate::store) async fn trim(connection: &mut Connection, kept_ms: i64) -> QueryResult<()> {
    let old: Vec<(String, String, String)> = dialect::for_update_skip_locked!(
        death::table
            .filter(dsl::died_ms.lt(now_plus(-kept_ms)))
            .select((dsl::kind, dsl::source, dsl::message_id))
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    for row in &old {
        diesel::delete(death::table.find((&row.0, &row.1, &row.2)))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// All that are known of one source.
pub(in crate::store) async fn of_source(
    connection: &mut Connection,
    kind: &str,
    source: &str,
) -> QueryResult<Vec<OutsideDeath>> {
    let rows: Vec<(String, i32, i32, i64, i64)> = death::table
        .filter(dsl::kind.eq(kind))
        .filter(dsl::source.eq(source))
        .order(dsl::message_id)
        .select((
            dsl::message_id,
            dsl::attempts,
            dsl::deaths,
            dsl::due_ms,
            now(),
        ))
        .load(connection)
        .await?;
    let of_row =
        |(id, attempts, deaths, due_ms, now_ms): (String, i32, i32, i64, i64)| OutsideDeath {
            id,
            attempts: u32::try_from(attempts).unwrap_or(0),
            suspect: deaths > 0,
            wait_ms: due_ms.saturating_sub(now_ms).max(0),
        };
    Ok(rows.into_iter().map(of_row).collect())
}
