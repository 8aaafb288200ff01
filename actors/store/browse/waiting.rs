//! How many delayed tasks wait, by when they are due.

use diesel::sql_types::BigInt;

use super::Browse;
use super::sql::{Sql, Words};
use crate::store::columns::WAITING;
use crate::store::error::DbError;

/// A bar counts up to this number of tasks: a hundred bars together are counted in some hundredths of a second.
pub(crate) const BAR_CAP: u64 = 1000;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
const MINUTES: i64 = 60;
const HOURS: i64 = 24;
/// Three weeks.
const DAYS: i64 = 21;

/// From the first unix second up to and without the second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from_s: i64,
    pub(crate) to_s: i64,
}

/// One bar: the tasks that are due in it, `BAR_CAP` meaning that many at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) span: Span,
    pub(crate) tasks: u64,
}

/// What waits from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bars {
    /// Due before now.
    pub(crate) overdue: Bar,
    /// The next hour.
    pub(crate) minutes: Vec<Bar>,
    /// The next day.
    pub(crate) hours: Vec<Bar>,
    /// The next three weeks.
    pub(crate) days: Vec<Bar>,
    /// Due after all of these.
    pub(crate) later: Bar,
}

impl Bar {
    /// There may be more tasks than were counted.
    pub(crate) fn is_cut(self) -> bool {
        self.tasks >= BAR_CAP
    }
}

/// The first minute, hour and day begin now: the minutes are whole ones, and so are the first and the last bar of each.
pub(crate) async fn bars(reader: &(impl Browse + ?Sized), now_s: i64) -> Result<Bars, DbError> {
    let row = |length: i64, bars: i64| {
        (0..bars).map(move |bar| Span {
            from_s: now_s + bar * length,
            to_s: now_s + (bar + 1) * length,
        })
    };
    let mut spans = vec![Span {
        from_s: 0,
        to_s: now_s,
    }];
    spans.extend(row(MINUTE_S, MINUTES));
    spans.extend(row(HOUR_S, HOURS));
    spans.extend(row(DAY_S, DAYS));
    spans.push(Span {
        from_s: now_s + DAYS * DAY_S,
        to_s: i64::from(u32::MAX) + 1,
    });
    let counts = reader.waiting_in(spans.clone()).await?;
    let mut bars = spans
        .into_iter()
        .zip(counts)
        .map(|(span, tasks)| Bar { span, tasks });
    let none = Bar {
        span: Span { from_s: 0, to_s: 0 },
        tasks: 0,
    };
    let overdue = bars.next().unwrap_or(none);
    let mut take = |n: i64| -> Vec<Bar> {
        let n = usize::try_from(n).unwrap_or(0);
        bars.by_ref().take(n).collect()
    };
    Ok(Bars {
        overdue,
        minutes: take(MINUTES),
        hours: take(HOURS),
        days: take(DAYS),
        later: take(1).pop().unwrap_or(none),
    })
}

#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawCount {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = BigInt)]
    counted: i64,
}

/// One statement: each count walks the index from the beginning of its span, and no further than the cap. Where a subquery may
/// name the row outside of it, the count stands there once: a hundred of them take a server longer to plan than to make.
pub(in crate::store) fn statement(words: Words, spans: &[Span]) -> Sql {
    let count = |from_s: &str, to_s: &str| {
        format!(
            "(SELECT COUNT(*) FROM (SELECT 1 AS one FROM delay_queue_log AS q {} WHERE q.status = {WAITING}
              AND q.exec_time >= {from_s} AND q.exec_time < {to_s} LIMIT {BAR_CAP}) AS capped) AS counted",
            words.tasks_by_time
        )
    };
    let places = spans.iter().enumerate();
    if words.subquery_names_outer {
        let row = |(place, span): (usize, &Span)| {
            let values = [
                place.to_string(),
                span.from_s.to_string(),
                span.to_s.to_string(),
            ];
            format!("({})", values.map(|value| (words.int8)(&value)).join(", "))
        };
        let rows: Vec<String> = places.map(row).collect();
        return Sql::new(
            words,
            &format!(
                "WITH s(place, from_s, to_s) AS (VALUES {}) SELECT s.place AS place, {} FROM s",
                rows.join(", "),
                count("s.from_s", "s.to_s")
            ),
        );
    }
    let one = |(place, span): (usize, &Span)| {
        let count = count(&span.from_s.to_string(), &span.to_s.to_string());
        format!(
            "SELECT {} AS place, {count}",
            (words.int8)(&place.to_string())
        )
    };
    let all: Vec<String> = places.map(one).collect();
    Sql::new(words, &all.join(" UNION ALL "))
}

impl RawCount {
    /// In the order of the spans.
    pub(in crate::store) fn counts(mut rows: Vec<Self>) -> Vec<u64> {
        rows.sort_unstable_by_key(|row| row.place);
        let count = |row: Self| u64::try_from(row.counted).unwrap_or(0);
        rows.into_iter().map(count).collect()
    }
}
