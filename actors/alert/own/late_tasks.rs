//! `late_tasks`: delayed tasks that wait past their time. All daemons of the database see the same ones, and each of
//! them reports them.

use super::Condition;
use super::age::aged;
use crate::state::DelaySight;
use crate::store::rows::COUNT_CAP;

/// A count that is older than this is outdated: the database did not answer the ones since.
const STALE_MS: i64 = 90_000;

/// Whether the last count is recent.
pub(super) fn is_known(delay: Option<&DelaySight>, now_ms: i64) -> bool {
    delay.is_some_and(|delay| now_ms.saturating_sub(delay.counted_ms) <= STALE_MS)
}

/// Judged by how late the oldest was when it was counted: by now it may run.
pub(crate) fn condition(delay: &DelaySight, above_seconds: u64, now_ms: i64) -> Option<Condition> {
    let due_ms = delay.oldest_due_ms.filter(|_| delay.waiting > 0)?;
    let late_ms = delay.counted_ms.saturating_sub(due_ms);
    let above_ms = i64::try_from(above_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    (late_ms > above_ms).then(|| Condition {
        subject: String::new(),
        since_ms: due_ms,
        summary: format!("delay queue: tasks wait more than {above_seconds} s past their time"),
        text: format!(
            "{} tasks wait, the oldest {} s past its time{}; {} run",
            shown_count(delay.waiting),
            late_ms / 1000,
            aged(Some(delay.counted_ms), now_ms, |ago| format!(
                ", counted {ago}"
            )),
            delay.running
        ),
        remedy: "raise `delay_concurrency`, or make the handlers faster".to_owned(),
        ..Condition::default()
    })
}

/// Rows are counted up to a cap.
pub(crate) fn shown_count(n: u64) -> String {
    match n > COUNT_CAP {
        true => "100,000+".to_owned(),
        false => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(waiting: u64, late_ms: i64) -> DelaySight {
        DelaySight {
            waiting,
            oldest_due_ms: Some(100_000 - late_ms),
            counted_ms: 100_000,
            running: 2,
        }
    }

    #[test]
    fn tasks_are_late_by_more_than_the_limit() {
        for (waiting, late_ms, is_wrong) in [
            (1, 10_000, false),
            (1, 10_001, true),
            (0, 90_000, false),
            (1, -5_000, false),
        ] {
            let found = condition(&delay(waiting, late_ms), 10, 100_000);
            assert_eq!(found.is_some(), is_wrong, "{waiting} {late_ms}");
        }
        let found = condition(&delay(3, 61_000), 10, 100_000).unwrap();
        assert_eq!(
            found.text,
            "3 tasks wait, the oldest 61 s past its time; 2 run"
        );
        assert_eq!(found.since_ms, 39_000);
    }

    #[test]
    fn an_old_count_says_nothing_of_now() {
        let counted = delay(1, 0);
        assert!(is_known(Some(&counted), 100_000 + STALE_MS));
        assert!(!is_known(Some(&counted), 100_001 + STALE_MS));
        assert!(!is_known(None, 0));
    }
}
