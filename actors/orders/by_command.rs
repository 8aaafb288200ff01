//! Log lines of orders that commands carried out themselves: those about delayed tasks and dead letters.
//!
//! Their rows of `audit` are read with the other orders, once a second. **Each daemon of the environment logs each of them
//! once**, as it does with pauses: none can know whether another one reads. What was ordered while no daemon ran stands in
//! `audit` alone. An order over HTTP has its line already, in the log of the daemon that took it.

use std::collections::BTreeSet;

use crate::db::Db;
use crate::store::DbError;
use crate::store::browse::{AuditAsked, AuditLine, Reach, audits};

/// A row may be committed after one with a higher id, by as many orders as are given at once: this many ids are read again.
const OVERLAP: i64 = 200;
/// Rows of one poll. More are read with the next ones.
const MOST_ROWS: u32 = 500;

/// What has been logged.
#[derive(Default)]
pub(super) struct CommandOrders {
    /// The newest row that was read; none before the first poll.
    newest: Option<i64>,
    /// Those of the last [`OVERLAP`] ids that were read.
    read: BTreeSet<i64>,
}

impl CommandOrders {
    /// Logs the orders since the last poll. The first poll logs none: it only learns where the table ends.
    pub(super) async fn log(&mut self, db: &Db, environment: &str) -> Result<(), DbError> {
        let (newest, is_first) = match self.newest {
            Some(newest) => (newest, false),
            None => (end_of_table(db, environment).await?, true),
        };
        let after = newest.saturating_sub(OVERLAP);
        let tail = db
            .reader()
            .audit_tail(environment.to_owned(), after, MOST_ROWS);
        for row in self.unread(tail.await?, newest) {
            if !is_first && is_of_command(&row.ordered_by) {
                // The row of an order about dead letters is written anew with each portion.
                let so_far = match row.target.starts_with("delayed task") {
                    true => "",
                    false => " so far",
                };
                log::info!(
                    "{}: {}, ordered by {}: {}{so_far}",
                    row.target,
                    row.action,
                    row.ordered_by,
                    row.result
                );
            }
        }
        Ok(())
    }

    fn unread(&mut self, mut rows: Vec<AuditLine>, newest: i64) -> Vec<AuditLine> {
        rows.retain(|row| self.read.insert(row.id));
        let newest = rows.iter().map(|row| row.id).fold(newest, i64::max);
        self.read = self.read.split_off(&newest.saturating_sub(OVERLAP));
        self.newest = Some(newest);
        rows
    }
}

async fn end_of_table(db: &Db, environment: &str) -> Result<i64, DbError> {
    let all = AuditAsked::of(environment);
    let page = audits(db.reader(), all, |_| true, Reach::page(1)).await?;
    Ok(page.rows.first().map_or(0, |row| row.id))
}

/// `user@host`: over HTTP it is an address, or somebody `at` one or at the socket.
fn is_of_command(ordered_by: &str) -> bool {
    ordered_by.contains('@') && !ordered_by.contains(" at ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64) -> AuditLine {
        AuditLine {
            id,
            at_ms: 1,
            ordered_by: "ann@web-1".to_owned(),
            action: "purge".to_owned(),
            target: "dead letters 1".to_owned(),
            result: "1 deleted".to_owned(),
        }
    }

    #[test]
    fn each_row_is_read_once_though_it_is_committed_late() {
        let mut orders = CommandOrders::default();
        let mut read = |ids: &[i64], newest| {
            let rows = orders.unread(ids.iter().copied().map(row).collect(), newest);
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            (ids, orders.newest, orders.read.len())
        };
        assert_eq!(read(&[7, 9], 9), (vec![7, 9], Some(9), 2));
        assert_eq!(read(&[7, 8, 9], 9), (vec![8], Some(9), 3), "committed late");
        assert_eq!(read(&[7, 8, 9, 500], 9), (vec![500], Some(500), 1));
    }

    #[test]
    fn an_order_over_http_is_none_of_a_command() {
        assert!(is_of_command("ann@web-1"));
        for over_http in ["127.0.0.1", "uid 0 at the socket", "ann@corp at 10.0.0.1"] {
            assert!(!is_of_command(over_http), "{over_http}");
        }
    }
}
