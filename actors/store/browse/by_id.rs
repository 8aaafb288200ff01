//! The statements of one step through a table by its primary key, the newest row first.

use super::Rows;
use super::sql::{Sql, Words};

/// The rows of a table that are older than an id.
#[derive(Clone, Copy)]
pub(super) struct ById {
    pub(super) words: Words,
    pub(super) table: &'static str,
    pub(super) before: Option<i64>,
}

impl ById {
    fn select(self, columns: &str) -> Sql {
        let (table, before) = (self.table, self.before.unwrap_or(i64::MAX));
        let mut sql = Sql::new(self.words, "SELECT ");
        sql.push(columns)
            .push(&format!(" FROM {table} WHERE id < {before}"));
        sql
    }

    /// The last row of the step, from the primary key alone.
    pub(super) fn edge(self, rows: Rows) -> Sql {
        let mut sql = self.select("id");
        let behind = rows.looked_at.saturating_sub(1);
        sql.push(&format!(" ORDER BY id DESC LIMIT 1 OFFSET {behind}"));
        sql
    }

    /// The rows of the step, as far as its edge, that pass what `narrow` adds.
    pub(super) fn rows(
        self,
        columns: &str,
        edge: Option<i64>,
        rows: Rows,
        narrow: impl FnOnce(&mut Sql),
    ) -> Sql {
        let mut sql = self.select(columns);
        if let Some(edge) = edge {
            sql.push(&format!(" AND id >= {edge}"));
        }
        narrow(&mut sql);
        sql.push(&format!(" ORDER BY id DESC LIMIT {}", rows.wanted));
        sql
    }
}
