//! What the pages show of the tables: waiting messages, tasks, dead letters, cron runs, and the audit of orders.
//!
//! **No page takes longer with ten million rows.** What an index knows is read from the index, up to a number of rows.
//! What no index knows (a text in a payload) is searched for a step of rows at a time, from a place on, until a page is
//! full or the time is over; then the page shows how far it has searched, and its next page begins there.

mod audit;
mod by_id;
mod dead_letters;
mod runs;
mod sql;
mod tasks;
mod waiting;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

pub(in crate::store) use self::audit::RawAudit;
pub(crate) use self::audit::{AuditAsked, AuditLine, audits};
pub(crate) use self::dead_letters::{
    DeadLetterLine, DeadLetterOpened, DeadLettersAsked, dead_letters,
};
pub(in crate::store) use self::dead_letters::{RawDeadLetter, RawId, RawOpened};
pub(crate) use self::runs::{PartitionRuns, runs};
pub(in crate::store) use self::sql::{Sql, Words};
pub(in crate::store) use self::tasks::{RawPlace, RawTaskLine};
pub(crate) use self::tasks::{TaskLine, TaskPlace, TasksAsked, tasks};
#[cfg(test)]
pub(crate) use self::waiting::BAR_CAP;
pub(in crate::store) use self::waiting::RawCount;
pub(crate) use self::waiting::{Bar, Bars, Span, bars};
use super::daemon_orders::CronRun;
use super::error::DbError;

/// The statements, which adapters run with their words.
pub(in crate::store) mod sql_of {
    pub(in crate::store) use super::audit::{
        edge as audit_edge, rows as audit_rows, tail as audit_tail,
    };
    pub(in crate::store) use super::dead_letters::{
        edge as dead_letter_edge, opened as dead_letter, rows as dead_letter_rows,
    };
    pub(in crate::store) use super::runs::{edge as run_edge, rows as run_rows};
    pub(in crate::store) use super::tasks::{edge as task_edge, rows as task_rows};
    pub(in crate::store) use super::waiting::statement as waiting;
}

/// Questions of the pages. Each reads a bounded number of rows.
pub(crate) trait Browse: Send + Sync {
    /// Waiting tasks that are due in each of these spans, counted up to `BAR_CAP` each; in the order of the spans.
    fn waiting_in(&self, spans: Vec<Span>) -> BoxFuture<'_, Result<Vec<u64>, DbError>>;
    /// Searches a step of rows for tasks.
    fn task_step(
        &self,
        asked: TasksAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<TaskLine, TaskPlace>, DbError>>;
    /// Searches a step of rows for dead letters, the newest first.
    fn dead_letter_step(
        &self,
        asked: DeadLettersAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<DeadLetterLine, i64>, DbError>>;
    /// One dead letter, with no more bytes of its payload and of its key than that.
    fn dead_letter(
        &self,
        id: i64,
        bytes: u32,
    ) -> BoxFuture<'_, Result<Option<DeadLetterOpened>, DbError>>;
    /// Searches a step of rows for orders, the newest first.
    fn audit_step(
        &self,
        asked: AuditAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<AuditLine, i64>, DbError>>;
    /// Orders about delayed tasks and dead letters behind that id, the oldest first; at most that number.
    fn audit_tail(
        &self,
        environment: String,
        after: i64,
        rows: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditLine>, DbError>>;
    /// Searches a step of rows for runs of a partition, the newest first.
    fn run_step(
        &self,
        asked: PartitionRuns,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<CronRun, i64>, DbError>>;
}

/// How many rows one step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Of the table.
    pub(crate) looked_at: u32,
    /// Of the answer, at most.
    pub(crate) wanted: u32,
}

/// What one step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step<Row, Place> {
    pub(crate) rows: Vec<Row>,
    /// The last row that was read; none: there are no more rows behind the step.
    pub(crate) edge: Option<Place>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<Row, Place> {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Next<Place>,
}

/// What comes behind a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next<Place> {
    /// Nothing: these were the last.
    End,
    /// There is at least one more row behind this place.
    More(Place),
    /// The time was over here. Whether there are more is not known.
    Unknown(Place),
}

/// How far one page searches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Rows on the page.
    pub(crate) page: u32,
    /// Rows of one step: few enough for its time to be short, whatever the rows hold.
    pub(crate) step: u32,
    /// No further step begins after this.
    pub(crate) time: Duration,
}

impl Reach {
    /// A page of that many rows.
    pub(crate) fn page(rows: u32) -> Self {
        Self {
            page: rows,
            step: 2000,
            time: Duration::from_millis(80),
        }
    }
}

/// Steps from a place on, until the page is full, the rows are at their end or the time is over. `keeps` leaves out
/// rows that the database cannot distinguish.
async fn search<Row, Place: Copy>(
    reach: Reach,
    mut from: Option<Place>,
    place_of: impl Fn(&Row) -> Place,
    keeps: impl Fn(&Row) -> bool,
    step: impl AsyncFn(Option<Place>, Rows) -> Result<Step<Row, Place>, DbError>,
) -> Result<Page<Row, Place>, DbError> {
    let begun = Instant::now();
    let page = usize::try_from(reach.page).unwrap_or(usize::MAX);
    let asked = Rows {
        looked_at: reach.step,
        wanted: reach.page.saturating_add(1),
    };
    let full = usize::try_from(asked.wanted).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    loop {
        let Step { rows, edge } = step(from, asked).await?;
        // Fewer rows than were wanted are all rows of the step.
        let last = rows.last().map(&place_of);
        let edge = if rows.len() >= full { last } else { edge };
        found.extend(rows.into_iter().filter(|row| keeps(row)));
        if found.len() > page {
            found.truncate(page);
            let next = found
                .last()
                .map_or(Next::End, |row| Next::More(place_of(row)));
            return Ok(Page { rows: found, next });
        }
        let Some(edge) = edge else {
            return Ok(Page {
                rows: found,
                next: Next::End,
            });
        };
        from = Some(edge);
        if begun.elapsed() >= reach.time {
            return Ok(Page {
                rows: found,
                next: Next::Unknown(edge),
            });
        }
    }
}

/// A text that is searched for, with `%` and `_` in it as they are: for `LIKE … ESCAPE '!'`. PostgreSQL takes no NUL.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        match c {
            '!' | '%' | '_' => pattern.extend(['!', c]),
            '\0' => {}
            c => pattern.push(c),
        }
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Rows 1 to `rows`, of which the even ones are found.
    async fn searched(rows: i64, reach: Reach, from: Option<i64>) -> (Page<i64, i64>, usize) {
        let steps = RefCell::new(0);
        let step = async |from: Option<i64>, asked: Rows| {
            *steps.borrow_mut() += 1;
            let first = from.unwrap_or(0) + 1;
            let last = first + i64::from(asked.looked_at) - 1;
            let even = (first..=last.min(rows)).filter(|row| row % 2 == 0);
            let found = even.take(asked.wanted as usize).collect();
            let edge = (last <= rows).then_some(last);
            Ok(Step { rows: found, edge })
        };
        let page = search(reach, from, |row| *row, |row| row % 4 == 0, step).await;
        let steps = *steps.borrow();
        (page.unwrap(), steps)
    }

    fn reach(page: u32, time: Duration) -> Reach {
        Reach {
            page,
            step: 10,
            time,
        }
    }

    #[actix_rt::test]
    async fn a_page_says_where_the_next_begins() {
        let (page, _) = searched(1000, reach(3, Duration::MAX), None).await;
        assert_eq!(page.rows, [4, 8, 12]);
        assert_eq!(page.next, Next::More(12));
        let (page, _) = searched(1000, reach(3, Duration::MAX), Some(12)).await;
        assert_eq!(page.rows, [16, 20, 24]);
        let (page, _) = searched(24, reach(3, Duration::MAX), Some(12)).await;
        assert_eq!((page.rows.len(), page.next), (3, Next::End));
        let (page, _) = searched(20, reach(3, Duration::MAX), Some(12)).await;
        assert_eq!((page.rows, page.next), (vec![16, 20], Next::End));
        let (page, _) = searched(0, reach(3, Duration::MAX), None).await;
        assert_eq!((page.rows, page.next), (vec![], Next::End));
    }

    #[actix_rt::test]
    async fn a_look_whose_time_is_over_says_how_far_it_came() {
        let (page, steps) = searched(1000, reach(50, Duration::ZERO), None).await;
        assert_eq!((page.rows, steps), (vec![4, 8], 1));
        assert_eq!(page.next, Next::Unknown(10));
    }

    #[test]
    fn what_is_looked_for_is_text_and_no_pattern() {
        assert_eq!(contains("50%_!\0x"), "%50!%!_!!x%");
    }
}
