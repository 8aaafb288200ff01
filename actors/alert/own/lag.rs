//! `lag`: a queue that stays behind with as many consumers as it may have.
//!
//! A lag that cannot be read leaves the queue's state as it was, and so the condition.

use super::Condition;
use super::age::aged;
use crate::state::LagSight;

/// Found so by this many LagChecks in a row.
pub(crate) fn conditions(lags: &[LagSight], checks: u64, now_ms: i64) -> Vec<Condition> {
    let behind = lags.iter().filter(|lag| lag.behind_checks >= checks);
    behind
        .filter_map(|sight| condition(sight, now_ms))
        .collect()
}

fn condition(sight: &LagSight, now_ms: i64) -> Option<Condition> {
    let (since_ms, lag) = (sight.behind_since_ms?, sight.shown()?);
    Some(Condition {
        subject: sight.queue.clone(),
        since_ms,
        summary: format!(
            "queue `{}`: its lag is above {} at full size",
            sight.queue, sight.limit
        ),
        text: format!(
            "lag {lag} is above {} at full size, {} of {} consumers{}",
            sight.limit,
            sight.present,
            sight.ceiling,
            aged(sight.read_ms, now_ms, |ago| format!(" (read {ago})"))
        ),
        remedy: "raise `max_progress`, add a partition, or make the handler faster".to_owned(),
        ..Condition::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(behind_checks: u64, lag: Option<u64>) -> LagSight {
        LagSight {
            queue: "orders".to_owned(),
            lag,
            lag_is_capped: false,
            read_ms: Some(0),
            unread_since_ms: None,
            limit: 10,
            present: 4,
            ceiling: 4,
            behind_since_ms: (behind_checks > 0).then_some(7),
            behind_checks,
            since_first_check: false,
        }
    }

    #[test]
    fn a_queue_is_behind_from_so_many_checks_in_a_row_on() {
        for (behind_checks, checks, is_wrong) in [
            (0, 1, false),
            (1, 1, true),
            (1, 2, false),
            (2, 2, true),
            (9, 2, true),
        ] {
            let found = conditions(&[sight(behind_checks, Some(20))], checks, 0);
            assert_eq!(
                found.len(),
                usize::from(is_wrong),
                "{behind_checks} {checks}"
            );
        }
        let found = conditions(&[sight(2, Some(20))], 2, 0).remove(0);
        assert_eq!((found.subject.as_str(), found.since_ms), ("orders", 7));
        assert_eq!(
            found.text,
            "lag 20 is above 10 at full size, 4 of 4 consumers"
        );
        assert!(conditions(&[sight(2, None)], 2, 0).is_empty());
    }
}
