//! One part of a write that was refused as a whole, behind a savepoint.

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};

use crate::store::apart::{Manner, left_out};

/// Does the work. Where parts are made apart, what SQLite refuses of it is undone, and the answer is why; the transaction
/// goes on.
pub(super) fn part<T>(
    connection: &mut SqliteConnection,
    manner: Manner,
    work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> QueryResult<Result<T, String>> {
    if manner == Manner::Whole {
        return work(connection).map(Ok);
    }
    connection.batch_execute("SAVEPOINT part")?;
    match work(connection) {
        Ok(done) => {
            connection.batch_execute("RELEASE part")?;
            Ok(Ok(done))
        }
        // Whether the file takes writes at all has been asked before parts are made apart.
        Err(error) => match connection.batch_execute("ROLLBACK TO part; RELEASE part") {
            Ok(()) => Ok(Err(error.to_string())),
            // It has ended the whole transaction, as a trigger may (`RAISE(ROLLBACK, …)`).
            Err(_) => Err(error),
        },
    }
}

/// Does the work with each of these rows. Where parts are made apart, those that are refused are left out. Answers how many
/// rows were changed.
pub(super) fn leaving_out(
    connection: &mut SqliteConnection,
    manner: Manner,
    of: &str,
    ids: &[i64],
    work: impl Fn(&mut SqliteConnection, i64) -> QueryResult<usize>,
) -> QueryResult<usize> {
    let mut changed = 0;
    for id in ids {
        match part(connection, manner, |connection| work(connection, *id))? {
            Ok(rows) => changed += rows,
            Err(why) => left_out(of, *id, &why),
        }
    }
    Ok(changed)
}
