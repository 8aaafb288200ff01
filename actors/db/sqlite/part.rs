//! One part of a write that was refused as a whole, behind a savepoint.

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};

use crate::db::apart::Manner;

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
        Err(error) => {
            connection.batch_execute("ROLLBACK TO part; RELEASE part")?;
            Ok(Err(error.to_string()))
        }
    }
}
