//! The numbers and words that stand in the tables.

use super::truncate::result_text;

/// `delay_queue_log.status`, as in the Go project.
pub(crate) const WAITING: i16 = 1;
pub(crate) const RUNNING: i16 = 2;
pub(crate) const DONE: i16 = 3;
pub(crate) const FAILED: i16 = 4;

/// `boot.state`.
pub(crate) const ALIVE: i16 = 1;
pub(crate) const ENDED: i16 = 2;
pub(crate) const JUDGED_DEAD: i16 = 3;

/// A boot that missed this many heartbeats is dead.
pub(crate) const MISSED_HEARTBEATS: i64 = 3;

/// How many dead owners' rows are released at a time: a heartbeat follows a second later.
pub(crate) const DEAD_OWNERS: usize = 100;

/// `cron_run.state`.
pub(crate) const RUN_CLAIMED: i16 = 1;
pub(crate) const RUN_STARTED: i16 = 2;
pub(crate) const RUN_ENDED: i16 = 3;

/// How the `result` of a waiting task begins whose last attempt ended its process. The table is shared with the Go
/// program and gets no more columns than it must, so the mark stands in a column that people read. The second one was
/// written by earlier versions. Short: the column may be.
const DEATH_MARKS: [&str; 2] = [
    "{\"status\":false,\"data\":\"the process ended",
    "{\"data\":\"the process ended while it ran: ",
];

/// The `result` of a task that ended its process.
pub(crate) fn death_result(how: &str) -> String {
    result_text(
        false,
        &format!("the process ended while it ran: {how}").into(),
    )
}

/// Whether a waiting row's `result` has the mark that its last attempt ended the process.
pub(crate) fn is_death(result: &str) -> bool {
    DEATH_MARKS.iter().any(|mark| result.starts_with(mark))
}

/// The `status` of a fire that `overlap: forbid` did not let begin.
pub(crate) const RUN_SKIPPED: &str = "skipped";
/// The `status` of a fire whose row the database took when its time was over.
pub(crate) const RUN_MISSED: &str = "failed";
/// The `cron_run.status` of an open run whose place a later fire takes; `crontab_log` goes on saying that it runs.
pub(crate) const RUN_REPLACED: &str = "replaced";

/// The `cron_run.status` of an open run that a person ordered to end; `crontab_log` goes on saying that it runs.
pub(crate) const RUN_ENDING: &str = "ending";
/// The `status` of a run that a signal ended.
pub(crate) const RUN_KILLED: &str = "killed";
/// The `cron_run.status` of one that was killed as a person ordered: it is no bad end, whichever daemon asks later.
/// `crontab_log` has `killed`.
pub(crate) const RUN_ENDED_BY_ORDER: &str = "ended by order";

/// `daemon_order.state`.
pub(crate) const ORDER_WAITING: i16 = 1;
pub(crate) const ORDER_UNDER_WAY: i16 = 2;
pub(crate) const ORDER_ENDED: i16 = 3;

/// A run whose second lies further ahead than this is of a clock that was wrong: five minutes, longer than the clocks of
/// machines that keep time differ.
pub(in crate::store) const AHEAD_MS: i64 = 5 * 60 * 1000;

/// Whether a run's second lies so far ahead.
pub(crate) fn is_ahead(scheduled_ms: i64, now_ms: i64) -> bool {
    scheduled_ms > now_ms.saturating_add(AHEAD_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_known_by_its_result() {
        assert!(is_death(&death_result("SIGABRT")));
        let earlier = r#"{"data":"the process ended while it ran: SIGABRT","status":false}"#;
        assert!(is_death(earlier), "of an earlier version");
        assert!(!is_death("{\"data\":\"boom\",\"status\":false}"));
        assert!(!is_death(""));
    }
}
