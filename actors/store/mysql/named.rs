//! Statements about rows that are named by their ids.
//!
//! MariaDB reads a table as a whole where it believes it to be small, an index hint or not, and then waits for every row
//! that another transaction has locked, wanted or not: the ends of two daemons would wait for each other. So the ids come
//! as a table of their own, from which each row can only be reached through the primary key.

fn source(table: &str, ids: &str) -> String {
    format!(
        "JSON_TABLE('[{ids}]', '$[*]' COLUMNS (id BIGINT PATH '$')) AS v \
         STRAIGHT_JOIN {table} AS q FORCE INDEX (PRIMARY) ON q.id = v.id"
    )
}

/// The rows are `q`.
pub(super) fn select(columns: &str, table: &str, ids: &str, condition: &str) -> String {
    format!(
        "SELECT {columns} FROM {} WHERE {condition}",
        source(table, ids)
    )
}

pub(super) fn update(table: &str, changes: &str, ids: &str) -> String {
    format!("UPDATE {} SET {changes}", source(table, ids))
}

pub(super) fn delete(table: &str, ids: &str) -> String {
    format!("DELETE q FROM {}", source(table, ids))
}
