//! Why a cron entry did not run at a moment, answered from rows.

use std::str::FromStr;

use chrono::DateTime;
use chrono_tz::Tz;

use crate::schedule::Schedule;
use crate::state::CronFacts;
use crate::store::daemon_orders::{CronRun, is_ordered};
use crate::store::traces::Traces;

/// A person types a minute: fires within it are meant.
pub(super) const MEANT_MS: i64 = 60_000;

/// The answer. Moments are unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The moment is ahead.
    Ahead {
        at: i64,
    },
    Ran {
        run: CronRun,
    },
    Runs {
        run: CronRun,
    },
    /// Only an ordered run was made then.
    Ordered {
        run: CronRun,
    },
    /// `overlap: forbid`; with the run that was in its way, where it is known.
    Skipped {
        run: CronRun,
        blocker: Option<CronRun>,
    },
    /// It has a row, and never had a process.
    NotStarted {
        run: CronRun,
    },
    /// With the fires around it.
    NotDue {
        before: Option<i64>,
        after: Option<i64>,
    },
    Paused {
        /// The row of `audit`.
        order: i64,
        at: i64,
        since: i64,
        by: String,
        target: String,
    },
    NotLive {
        at: i64,
        since: i64,
    },
    /// No daemon was alive.
    Away {
        at: i64,
        seen: Option<i64>,
        next: Option<i64>,
    },
    /// A daemon was alive, and did not make it.
    Misfire {
        at: i64,
    },
    /// Rows of that time are not kept any more.
    TooOld {
        at: i64,
    },
}

/// When an entry is due.
pub(super) struct Due {
    schedule: Schedule,
    zone: Tz,
}

impl Due {
    /// None where the facts are none of a live entry.
    pub(super) fn of(facts: &CronFacts) -> Option<Self> {
        Some(Self {
            schedule: Schedule::from_str(&facts.expression).ok()?,
            zone: facts.timezone.parse().ok()?,
        })
    }

    pub(super) fn after(&self, ms: i64) -> Option<i64> {
        let at = DateTime::from_timestamp_millis(ms)?.with_timezone(&self.zone);
        Some(self.schedule.next_after(&at)?.timestamp_millis())
    }

    /// The next ones, up to this many.
    pub(super) fn next(&self, after: i64, most: usize) -> Vec<i64> {
        let first = self.after(after);
        std::iter::successors(first, |at| self.after(*at))
            .take(most)
            .collect()
    }

    /// It counts from its last fire, so no moment is due by itself.
    pub(super) fn is_series(&self) -> bool {
        self.schedule.every().is_some()
    }

    /// The last fire before a moment: searched for in spans that grow, of a year at most.
    fn before(&self, ms: i64) -> Option<i64> {
        const SPANS_MS: [i64; 4] = [60_000, 3_600_000, 86_400_000, 366 * 86_400_000];
        /// Of an entry that fires each second within an hour.
        const MOST: usize = 4_000;
        SPANS_MS.into_iter().find_map(|span| {
            let fires = self.next(ms - span, MOST);
            fires.into_iter().take_while(|at| *at < ms).last()
        })
    }
}

/// `moment` is the minute that is asked about; `traces` are of [`MEANT_MS`] from there.
pub(super) fn why(due: &Due, moment: i64, traces: &Traces, now: i64) -> Why {
    let until = moment + MEANT_MS;
    let fire = traces
        .within
        .iter()
        .find(|run| !is_ordered(run.scheduled_ms));
    if let Some(run) = fire {
        return of_row(run, traces);
    }
    let at = match due.is_series() {
        true => None,
        false => due.after(moment - 1).filter(|at| *at < until),
    };
    let Some(at) = at else {
        return match traces.within.first() {
            Some(run) => Why::Ordered { run: run.clone() },
            None if due.is_series() => {
                let fires = traces.before.iter().map(|run| run.scheduled_ms);
                Why::NotDue {
                    before: fires.into_iter().find(|at| !is_ordered(*at)),
                    after: None,
                }
            }
            None => Why::NotDue {
                before: due.before(moment),
                after: due.after(moment - 1),
            },
        };
    };
    if at > now {
        return Why::Ahead { at };
    }
    without_row(at, traces)
}

fn of_row(run: &CronRun, traces: &Traces) -> Why {
    let run = run.clone();
    match run.status.as_str() {
        _ if run.ended_ms.is_none() => Why::Runs { run },
        "skipped" => {
            let at = run.scheduled_ms;
            let goes_on = |other: &&CronRun| {
                other.status != "skipped"
                    && other.started_ms <= run.started_ms
                    && other.ended_ms.is_none_or(|ended| ended >= at)
            };
            let blocker = traces.before.iter().find(goes_on).cloned();
            Why::Skipped { run, blocker }
        }
        "failed" if run.pid == 0 => Why::NotStarted { run },
        _ => Why::Ran { run },
    }
}

/// It was due, and nobody claimed it.
fn without_row(at: i64, traces: &Traces) -> Why {
    // The last order of each target holds: the entry's own, and that of everything.
    let mut targets = Vec::new();
    let holds = traces
        .pauses
        .iter()
        .filter(|order| order.at_ms <= at)
        .find(|order| {
            let is_last = !targets.contains(&&order.target);
            targets.push(&order.target);
            is_last && order.pauses
        });
    if let Some(pause) = holds {
        return Why::Paused {
            order: pause.id,
            at,
            since: pause.at_ms,
            by: pause.ordered_by.clone(),
            target: pause.target.clone(),
        };
    }
    if let Some((true, since)) = traces.live
        && since > at
    {
        return Why::NotLive { at, since };
    }
    let lived = |boot: &&crate::store::traces::PastBoot| {
        boot.started_ms <= at && boot.until_ms.is_none_or(|until| at <= until)
    };
    if traces.boots.iter().any(|boot| lived(&boot)) {
        return Why::Misfire { at };
    }
    if traces.before.is_empty() && traces.last_seen_ms.is_none() {
        return Why::TooOld { at };
    }
    let ended = traces.boots.iter().filter_map(|boot| boot.until_ms);
    let began = traces.boots.iter().map(|boot| boot.started_ms);
    Why::Away {
        at,
        seen: ended
            .filter(|until| *until < at)
            .max()
            .or(traces.last_seen_ms),
        next: began
            .filter(|start| *start > at)
            .min()
            .or(traces.next_start_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::traces::{PastBoot, PauseTrace};

    /// A full hour.
    const NOON: i64 = 1_800_000_000_000;
    const NOW: i64 = NOON + 86_400_000;

    fn due(expression: &str) -> Due {
        Due {
            schedule: expression.parse().unwrap(),
            zone: Tz::UTC,
        }
    }

    fn run(scheduled_ms: i64, status: &str, pid: i32) -> CronRun {
        CronRun {
            id: 1,
            uk: format!("u{scheduled_ms}"),
            partition: "script1".to_owned(),
            entry: "e".to_owned(),
            name: "report".to_owned(),
            machine: String::new(),
            scheduled_ms,
            started_ms: scheduled_ms + 20,
            ended_ms: (status != "running").then_some(scheduled_ms + 90_000),
            status: status.to_owned(),
            pid,
        }
    }

    fn boot(started_ms: i64, until_ms: Option<i64>) -> PastBoot {
        PastBoot {
            host: "h".to_owned(),
            started_ms,
            until_ms,
        }
    }

    fn hourly(traces: &Traces) -> Why {
        why(&due("0 0 * * * *"), NOON, traces, NOW)
    }

    fn within(run: CronRun) -> Traces {
        Traces {
            within: vec![run],
            ..Traces::default()
        }
    }

    #[test]
    fn a_row_says_what_became_of_the_fire() {
        let one = |status, pid| run(NOON, status, pid);
        assert!(matches!(
            hourly(&within(one("success", 7))),
            Why::Ran { .. }
        ));
        assert!(matches!(hourly(&within(one("failed", 7))), Why::Ran { .. }));
        assert!(matches!(
            hourly(&within(one("failed", 0))),
            Why::NotStarted { .. }
        ));
        assert!(matches!(
            hourly(&within(one("running", 7))),
            Why::Runs { .. }
        ));
        let earlier = run(NOON - 60_000, "success", 7);
        let traces = Traces {
            before: vec![run(NOON - 50_000, "skipped", 0), earlier.clone()],
            ..within(one("skipped", 0))
        };
        let Why::Skipped { blocker, .. } = hourly(&traces) else {
            panic!()
        };
        assert_eq!(blocker, Some(earlier));
    }

    #[test]
    fn an_order_is_no_fire() {
        let ordered = run(NOON + 1, "success", 7);
        let late = within(run(NOON + 600_001, "success", 7));
        assert!(matches!(
            why(&due("0 0 0 * * *"), NOON + 600_000, &late, NOW),
            Why::Ordered { .. }
        ));
        // It was due as well, and a daemon lived.
        let traces = Traces {
            boots: vec![boot(NOON - 1, None)],
            ..within(ordered)
        };
        assert_eq!(hourly(&traces), Why::Misfire { at: NOON });
    }

    #[test]
    fn what_is_not_due_has_fires_around_it() {
        let found = why(&due("0 0 * * * *"), NOON + 60_000, &Traces::default(), NOW);
        let (before, after) = (Some(NOON), Some(NOON + 3_600_000));
        assert_eq!(found, Why::NotDue { before, after });
        let ahead = why(
            &due("0 0 * * * *"),
            NOW + 3_600_000,
            &Traces::default(),
            NOW,
        );
        assert_eq!(
            ahead,
            Why::Ahead {
                at: NOW + 3_600_000
            }
        );
        let traces = Traces {
            before: vec![
                run(NOON - 999, "success", 7),
                run(NOON - 90_000, "success", 7),
            ],
            ..Traces::default()
        };
        let found = why(&due("@every 90s"), NOON + 60_000, &traces, NOW);
        assert_eq!(
            found,
            Why::NotDue {
                before: Some(NOON - 90_000),
                after: None
            }
        );
    }

    #[test]
    fn a_pause_holds_until_it_is_resumed() {
        let order = |at_ms: i64, pauses: bool, target: &str| PauseTrace {
            id: 17,
            at_ms,
            pauses,
            ordered_by: "ann".to_owned(),
            target: target.to_owned(),
        };
        let of = |pauses: Vec<PauseTrace>| {
            hourly(&Traces {
                pauses,
                boots: vec![boot(NOON - 10, None)],
                ..Traces::default()
            })
        };
        let paused = |since| Why::Paused {
            order: 17,
            at: NOON,
            since,
            by: "ann".to_owned(),
            target: "cron `report`".to_owned(),
        };
        let own = "cron `report`";
        assert_eq!(of(vec![order(NOON - 5, true, own)]), paused(NOON - 5));
        assert_eq!(
            of(vec![
                order(NOON - 4, false, "everything"),
                order(NOON - 5, true, own)
            ]),
            paused(NOON - 5)
        );
        let resumed = vec![order(NOON - 4, false, own), order(NOON - 5, true, own)];
        assert_eq!(of(resumed), Why::Misfire { at: NOON });
        assert_eq!(
            of(vec![order(NOON + 5, true, own)]),
            Why::Misfire { at: NOON }
        );
    }

    #[test]
    fn without_a_daemon_nothing_runs() {
        let traces = Traces {
            last_seen_ms: Some(NOON - 5_000),
            next_start_ms: Some(NOON + 600_000),
            ..Traces::default()
        };
        let (seen, next) = (Some(NOON - 5_000), Some(NOON + 600_000));
        assert_eq!(
            hourly(&traces),
            Why::Away {
                at: NOON,
                seen,
                next
            }
        );
        // It ended, and another one began, within the minute.
        let traces = Traces {
            boots: vec![
                boot(NOON + 30_000, None),
                boot(NOON - 60_000, Some(NOON - 1)),
            ],
            ..traces
        };
        let (seen, next) = (Some(NOON - 1), Some(NOON + 30_000));
        assert_eq!(
            hourly(&traces),
            Why::Away {
                at: NOON,
                seen,
                next
            }
        );
        assert_eq!(hourly(&Traces::default()), Why::TooOld { at: NOON });
    }

    #[test]
    fn an_entry_that_came_later_was_not_live() {
        let traces = Traces {
            live: Some((true, NOON + 10)),
            boots: vec![boot(NOON - 10, None)],
            ..Traces::default()
        };
        assert_eq!(
            hourly(&traces),
            Why::NotLive {
                at: NOON,
                since: NOON + 10
            }
        );
    }
}
