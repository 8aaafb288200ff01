//! Statements about rows that are named by their ids. The ids are numbers of ours, and stand in the text as they are. How
//! they are named differs: see `named.rs`.

use diesel::prelude::*;

use super::IN_ONE_STATEMENT;
use super::dialect::{Connection, RunQueryDsl};
use super::part::leaving_out;

pub(in crate::store) fn list(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}

/// One statement for each chunk of the caller's rows. Returns how many rows were changed.
pub(in crate::store) async fn each(
    connection: &mut Connection,
    table: &str,
    ids: &[i64],
    statement: impl Fn(&str) -> String,
) -> QueryResult<usize> {
    let mut changed = 0;
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let change = async |connection: &mut Connection, ids: &[i64]| {
            diesel::sql_query(statement(&list(ids)))
                .execute(connection)
                .await
        };
        changed += leaving_out(connection, table, chunk, change).await?;
    }
    Ok(changed)
}
