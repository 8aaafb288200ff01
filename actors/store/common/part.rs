//! One part of a write that was refused as a whole, behind a savepoint.

use diesel::QueryResult;
use diesel_async::SimpleAsyncConnection;

use super::dialect::{self, Connection};
use crate::store::parts::{Manner, left_out};

/// Does the work. Where a write is made part by part, what the database refuses of this one is undone, and the
/// answer is why; the transaction goes on.
pub(in crate::store) async fn part<T>(
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
            let undo = "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part";
            dialect::undo_part(connection, error, undo).await.map(Err)
        }
    }
}

/// Does the work with all of these rows. Where a write is made part by part, those that are refused are found by halving and left
/// out. Answers how many rows were changed.
pub(in crate::store) async fn leaving_out(
    connection: &mut Connection,
    of: &str,
    ids: &[i64],
    work: impl AsyncFn(&mut Connection, &[i64]) -> QueryResult<usize>,
) -> QueryResult<usize> {
    if connection.limits.manner == Manner::Whole {
        return work(connection, ids).await;
    }
    let (mut changed, mut portions) = (0, vec![ids]);
    while let Some(portion) = portions.pop() {
        let worked = match portion {
            [] => continue,
            portion => part(connection, async |connection| {
                work(connection, portion).await
            }),
        };
        match (worked.await?, portion) {
            (Ok(rows), _) => changed += rows,
            (Err(why), [id]) => left_out(of, *id, &why),
            (Err(_), several) => {
                let (former, latter) = several.split_at(several.len() / 2);
                portions.extend([latter, former]);
            }
        }
    }
    Ok(changed)
}
