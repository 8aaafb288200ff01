//! Cron runs of a partition, the newest first.

use super::by_id::ById;
use super::sql::{Sql, Words};
use super::{Browse, Page, Reach, Rows, search};
use crate::store::daemon_orders::CronRun;
use crate::store::error::DbError;

/// Which runs are asked for: those of a name are found by their index, see `Reader::cron_runs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionRuns {
    pub(crate) partition: String,
    /// Older than this id.
    pub(crate) before: i64,
}

pub(crate) async fn runs(
    reader: &(impl Browse + ?Sized),
    asked: PartitionRuns,
    reach: Reach,
) -> Result<Page<CronRun, i64>, DbError> {
    let step = async |before: Option<i64>, rows| {
        let asked = PartitionRuns {
            before: before.unwrap_or(asked.before),
            ..asked.clone()
        };
        reader.run_step(asked, rows).await
    };
    search(reach, None, |run| run.id, |_| true, step).await
}

fn by_id(words: Words, asked: &PartitionRuns) -> ById {
    ById {
        words,
        table: "cron_run",
        before: Some(asked.before),
    }
}

/// The last row of the step, from the primary key alone.
pub(in crate::store) fn edge(words: Words, asked: &PartitionRuns, rows: Rows) -> Sql {
    by_id(words, asked).edge(rows)
}

/// The rows of the step that are asked for.
pub(in crate::store) fn rows(
    words: Words,
    asked: &PartitionRuns,
    edge: Option<i64>,
    rows: Rows,
) -> Sql {
    let columns = "id, uk, partition_name, entry, name, machine, scheduled_ms, started_ms, ended_ms, state, status, pid";
    by_id(words, asked).rows(columns, edge, rows, |sql| {
        sql.is("partition_name", Some(&asked.partition));
    })
}
