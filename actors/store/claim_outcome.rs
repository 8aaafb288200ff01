//! How the rows of a fire begin, and from when on an entry's fires are to be made, on every database.

use super::columns::{
    RUN_CLAIMED, RUN_ENDED, RUN_ENDED_BY_ORDER, RUN_ENDING, RUN_KILLED, RUN_MISSED, RUN_SKIPPED,
};
use super::rows::{Claim, KnownEntry, RunEnd};
use crate::clock::now_ms;

/// The table is for people: a run begins and ends without it.
pub(in crate::store) fn not_logged(uk: &str, why: &str) {
    log::error!("run {uk}: `crontab_log` refuses its row, or what is new in it: {why}");
}

/// What is refused of an entry keeps no other one from firing.
pub(in crate::store) fn not_known(entry: &KnownEntry, why: &str) {
    log::error!(
        "cron `{}`: the database does not take that it is live, so none of its missed fires is made up for: {why}",
        entry.name
    );
}

/// How a fire's rows begin.
pub(in crate::store) struct Begin<'a> {
    pub(in crate::store) claim: Claim,
    pub(in crate::store) state: i16,
    pub(in crate::store) status: &'static str,
    pub(in crate::store) result: &'a str,
    pub(in crate::store) started_ms: i64,
    pub(in crate::store) ended_ms: i64,
}

impl<'a> Begin<'a> {
    pub(in crate::store) fn claimed() -> Self {
        Self {
            claim: Claim::Ours,
            state: RUN_CLAIMED,
            status: "running",
            result: "",
            started_ms: now_ms(),
            ended_ms: 0,
        }
    }

    /// An earlier run is open.
    pub(in crate::store) fn skipped(result: &'a str) -> Self {
        Self::ended(Claim::Skipped, RUN_SKIPPED, result)
    }

    /// It comes too late.
    pub(in crate::store) fn missed(result: &'a str) -> Self {
        Self::ended(Claim::Missed, RUN_MISSED, result)
    }

    fn ended(claim: Claim, status: &'static str, result: &'a str) -> Self {
        let now = now_ms();
        Self {
            claim,
            state: RUN_ENDED,
            status,
            result,
            started_ms: now,
            ended_ms: now,
        }
    }
}

/// The end of a fire that was claimed, and may not begin after all.
pub(in crate::store) fn skipped(uk: &str, result: &str) -> RunEnd {
    RunEnd {
        uk: uk.to_owned(),
        status: RUN_SKIPPED.to_owned(),
        result: result.to_owned(),
        pid: 0,
        ended_ms: now_ms(),
        only_of: None,
    }
}

/// The `cron_run.status` of a run that ends, whose open row has that mark.
pub(in crate::store) fn end_status<'a>(mark: &str, end: &'a RunEnd) -> &'a str {
    match mark == RUN_ENDING && end.status == RUN_KILLED {
        true => RUN_ENDED_BY_ORDER,
        false => &end.status,
    }
}

/// From when on an entry's fires are to be made: since it is live, or its last fire. That is its newest row, and where
/// rows were deleted what they left with their entry. What lies ahead is of a clock that was wrong, and hides no gap.
pub(in crate::store) fn since_when(
    live_since: i64,
    noted: Option<i64>,
    newest: Option<i64>,
    now: i64,
) -> i64 {
    let last = noted.filter(|at| *at <= now).max(newest);
    last.map_or(live_since, |last| last.max(live_since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fire_counts_that_does_not_lie_ahead() {
        let cases = [
            ((5, None, None), 5),
            ((5, Some(7), None), 7),
            ((5, None, Some(8)), 8),
            ((5, Some(9), Some(8)), 9),
            ((5, Some(3), Some(4)), 5),
            ((5, Some(99), None), 5),
            ((5, Some(99), Some(8)), 8),
        ];
        for ((live_since, noted, newest), expected) in cases {
            let since = since_when(live_since, noted, newest, 10);
            assert_eq!(since, expected, "{live_since} {noted:?} {newest:?}");
        }
    }
}
