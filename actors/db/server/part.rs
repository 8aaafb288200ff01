//! One part of a write that was refused as a whole, behind a savepoint.

use diesel::QueryResult;
use diesel_async::SimpleAsyncConnection;

use super::dialect::{self, Connection};
use crate::db::apart::Manner;
use crate::db::verdict::{Verdict, told};

/// Does the work. Where parts are made apart, what the server refuses of it is undone, and the answer is why; the
/// transaction goes on.
pub(super) async fn part<T>(
    connection: &mut Connection,
    work: impl AsyncFnOnce(&mut Connection) -> QueryResult<T>,
) -> QueryResult<Result<T, String>> {
    if connection.limits.manner == Manner::Whole {
        return work(connection).await.map(Ok);
    }
    connection.batch_execute("SAVEPOINT part").await?;
    match work(connection).await {
        Ok(done) => {
            connection.batch_execute("RELEASE SAVEPOINT part").await?;
            Ok(Ok(done))
        }
        Err(error) => {
            let (verdict, code) = dialect::verdict(connection, &error).await;
            // Whether the server takes writes at all has been asked before parts are made apart.
            if !matches!(verdict, Verdict::Refused | Verdict::Closed) {
                return Err(error);
            }
            let undo = "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part";
            connection.batch_execute(undo).await?;
            Ok(Err(told(&error, code.as_deref())))
        }
    }
}
