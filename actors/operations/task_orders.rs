//! Orders about single delayed tasks.

use std::time::Duration;

use crate::clock::millis;
use crate::db::Db;
use crate::delay_queue::LAST_SECOND;
use crate::moment::{FORMS, moment, shown};
use crate::store::DbError;
use crate::store::task_orders::{TaskOrder, TaskOrdered, TaskWish};
use crate::store::write::OrderTask;

/// Gives the order, with its row of `audit`. A daemon that gave it logs it; a command has no log.
pub(crate) async fn give(
    db: &Db,
    environment: &str,
    id: i64,
    wish: TaskWish,
    ordered_by: String,
) -> Result<TaskOrdered, DbError> {
    let done = match &wish {
        TaskWish::Cancel => "is cancelled".to_owned(),
        TaskWish::Due { shown, .. } => format!("is due {shown}"),
    };
    let order = TaskOrder {
        environment: environment.to_owned(),
        ordered_by: ordered_by.clone(),
        id,
        wish,
    };
    let ordered = db.write(OrderTask(order)).await?;
    match ordered.is_done() {
        true => log::info!("delayed task {id} {done}, by order of {ordered_by}"),
        false => log::info!(
            "delayed task {id} stays as it is, which {ordered_by} ordered otherwise: {}",
            ordered.describe()
        ),
    }
    Ok(ordered)
}

/// Why the task stays as it is.
pub(crate) fn refusal(id: i64, ordered: &TaskOrdered) -> String {
    let why = ordered.describe();
    let more = match ordered {
        TaskOrdered::Failed => "; one that failed runs again by a replay of its dead letter",
        _ => "",
    };
    format!("delayed task {id} stays as it is: {why}{more}")
}

/// When a task is to run, as a person writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When<'a> {
    Now,
    /// A time, or unix seconds.
    At(&'a str),
    In(Duration),
}

/// What is to become of the task, and that moment for people. `option` is what the caller calls the time.
pub(crate) fn due(when: When<'_>, option: &str, now: i64) -> Result<(TaskWish, String), String> {
    let (at_ms, shown) = match when {
        When::Now => (now, "now".to_owned()),
        When::At(text) => {
            let at_ms = later(text, option, now)?;
            (at_ms, format!("at {}", shown(at_ms)))
        }
        When::In(wait) => {
            let at_ms = now.saturating_add(millis(wait));
            (at_ms, format!("at {}", shown(at_ms)))
        }
    };
    if at_ms.div_euclid(1000) > LAST_SECOND {
        return Err(format!(
            "tasks can be due up to {LAST_SECOND} (the year 2106)"
        ));
    }
    let wish = TaskWish::Due {
        at_ms,
        shown: shown.clone(),
    };
    Ok((wish, shown))
}

/// Unix milliseconds of a time that is to come.
fn later(text: &str, option: &str, now: i64) -> Result<i64, String> {
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let at_ms = match seconds {
        Some(seconds) => seconds.saturating_mul(1000),
        None => moment(text).unwrap_or_else(|| {
            Err(format!(
                "`{option} {text}`: neither a time ({FORMS}) nor unix seconds"
            ))
        })?,
    };
    if at_ms < now {
        return Err(format!(
            "`{option} {text}` is over; without `{option}` the task is due now"
        ));
    }
    Ok(at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_is_a_time_or_unix_seconds() {
        let now = 1_769_844_600_000;
        let later = |text| later(text, "--at", now);
        assert_eq!(later("1769844600"), Ok(now));
        assert_eq!(later("2026-01-31T08:30:01+01:00"), Ok(now + 1000));
        assert!(later("1769844599").unwrap_err().contains("is over"));
        assert!(later("2020-01-31").unwrap_err().contains("is over"));
        for wrong in ["", "-5", "soon", "2h"] {
            assert!(later(wrong).unwrap_err().contains("RFC 3339"), "{wrong}");
        }
    }
}
