//! Statements about rows that are named by their ids.

/// The rows are `q`.
pub(super) fn select(columns: &str, table: &str, ids: &str, condition: &str) -> String {
    format!("SELECT {columns} FROM {table} AS q WHERE q.id IN ({ids}) AND {condition}")
}

pub(super) fn update(table: &str, changes: &str, ids: &str) -> String {
    format!("UPDATE {table} AS q SET {changes} WHERE q.id IN ({ids})")
}

pub(super) fn delete(table: &str, ids: &str) -> String {
    format!("DELETE FROM {table} AS q WHERE q.id IN ({ids})")
}
