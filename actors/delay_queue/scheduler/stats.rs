//! The delay queue's statistics: how late tasks of the last minute started, and how many tasks wait.

use parking_lot::Mutex;

use crate::store::rows::{COUNT_CAP, DelayCounts};

/// How many seconds are remembered.
const REMEMBERED_S: i64 = 60;
/// A lateness is remembered as the least of these that it does not exceed, in milliseconds: what people would distinguish.
const STEPS_MS: [i64; 15] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000, 3_600_000,
];
const BEYOND: usize = STEPS_MS.len();

/// From this lateness on the queue is reported as late: a second is what the Go project's users write down.
const LATE_MS: i64 = 1000;
/// And a row that waits for longer than this past its time was not claimed when it should have been.
const OVERDUE_MS: i64 = 5000;

/// See the module's header. Shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    seconds: Vec<Second>,
    counts: Option<DelayCounts>,
}

/// What started within one second.
#[derive(Debug, Clone)]
struct Second {
    at_s: i64,
    started: [u32; BEYOND + 1],
    worst_ms: i64,
}

/// The lateness of what started within the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lateness {
    pub(crate) started: u64,
    /// Half of them were no later, in milliseconds.
    pub(crate) p50_ms: i64,
    /// 99 of 100 were no later.
    pub(crate) p99_ms: i64,
    pub(crate) worst_ms: i64,
}

impl Stats {
    /// A task starts, due at that moment.
    pub(super) fn started(&self, due_ms: i64, now_ms: i64) {
        let late_ms = now_ms.saturating_sub(due_ms).max(0);
        let step = STEPS_MS.partition_point(|step| *step < late_ms);
        let at_s = now_ms.div_euclid(1000);
        let mut known = self.known.lock();
        let second = known.second(at_s);
        second.started[step] += 1;
        second.worst_ms = second.worst_ms.max(late_ms);
    }

    pub(super) fn counted(&self, counts: DelayCounts) {
        self.known.lock().counts = Some(counts);
    }

    /// What waited when it was last counted.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a question from outside"))]
    pub(crate) fn counts(&self) -> Option<DelayCounts> {
        self.known.lock().counts
    }

    pub(crate) fn lateness(&self, now_ms: i64) -> Lateness {
        let since = now_ms.div_euclid(1000) - REMEMBERED_S;
        let mut started = [0_u64; BEYOND + 1];
        let mut worst_ms = 0;
        for second in self.known.lock().seconds.iter().filter(|s| s.at_s > since) {
            for (all, n) in started.iter_mut().zip(second.started) {
                *all += u64::from(n);
            }
            worst_ms = worst_ms.max(second.worst_ms);
        }
        let all: u64 = started.iter().sum();
        let no_later = |percent: u64| {
            let wanted = (all * percent).div_ceil(100);
            let mut seen = 0;
            let step = started.iter().position(|n| {
                seen += n;
                seen >= wanted
            });
            // Beyond the last step the worst is all that is known; and no part is later than the worst.
            let step = step.and_then(|step| STEPS_MS.get(step)).copied();
            step.unwrap_or(worst_ms).min(worst_ms)
        };
        Lateness {
            started: all,
            p50_ms: no_later(50),
            p99_ms: no_later(99),
            worst_ms,
        }
    }
}

impl Known {
    /// The place of a second: that of the one a minute before.
    fn second(&mut self, at_s: i64) -> &mut Second {
        let empty = Second {
            at_s,
            started: [0; BEYOND + 1],
            worst_ms: 0,
        };
        if self.seconds.is_empty() {
            let places = usize::try_from(REMEMBERED_S).unwrap_or(0);
            self.seconds.resize(places, empty.clone());
        }
        let place = usize::try_from(at_s.rem_euclid(REMEMBERED_S)).unwrap_or(0);
        let second = &mut self.seconds[place];
        if second.at_s != at_s {
            *second = empty;
        }
        second
    }
}

/// A report about the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Nothing waits and nothing started.
    Idle,
    /// All is on time.
    OnTime(String),
    /// Tasks start late, or wait past their time.
    Late(String),
}

pub(super) fn report(counts: DelayCounts, lateness: Lateness, now_ms: i64) -> Report {
    let oldest_ms = counts.oldest_due_ms.map(|due_ms| now_ms - due_ms);
    let overdue = oldest_ms.is_some_and(|ms| ms > OVERDUE_MS);
    if counts.waiting == 0 && lateness.started == 0 {
        return Report::Idle;
    }
    let waiting = match (counts.waiting, oldest_ms) {
        (0, _) | (_, None) => "none waits".to_owned(),
        (n, Some(ms)) if ms > 0 => format!(
            "{} wait, the oldest {} past its time",
            shown(n),
            seconds(ms)
        ),
        (n, Some(ms)) => format!("{} wait, the first is due in {}", shown(n), seconds(-ms)),
    };
    let text = match lateness.started {
        0 => format!("delay queue: {waiting}; none started in the last minute"),
        n => format!(
            "delay queue: {waiting}; in the last minute {n} started, half of them within {} ms of their time, 99 of 100 \
             within {} ms, all within {} ms",
            lateness.p50_ms, lateness.p99_ms, lateness.worst_ms
        ),
    };
    match overdue || lateness.p99_ms > LATE_MS {
        true => Report::Late(text),
        false => Report::OnTime(text),
    }
}

fn shown(n: u64) -> String {
    match n > COUNT_CAP {
        true => format!("{COUNT_CAP}+"),
        false => n.to_string(),
    }
}

fn seconds(ms: i64) -> String {
    match ms {
        ..10_000 => format!("{ms} ms"),
        ms => format!("{} s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn the_lateness_is_that_of_the_last_minute() {
        let stats = Stats::default();
        assert_eq!(stats.lateness(NOW), Lateness::default());
        assert_eq!(stats.counts(), None);
        for n in 0..100 {
            stats.started(NOW - n, NOW);
        }
        let now = stats.lateness(NOW);
        assert_eq!(
            (now.started, now.p50_ms, now.p99_ms, now.worst_ms),
            (100, 50, 99, 99)
        );
        stats.started(NOW + 5, NOW);
        assert_eq!(stats.lateness(NOW).started, 101, "early is on time");
        stats.started(NOW - 90_000_000, NOW + 59_000);
        let later = stats.lateness(NOW + 59_000);
        assert_eq!(
            (later.started, later.worst_ms, later.p99_ms),
            (102, 90_059_000, 100)
        );
        let gone = stats.lateness(NOW + 60_000);
        assert_eq!(
            (gone.started, gone.p50_ms),
            (1, 90_059_000),
            "what is older is forgotten"
        );
        stats.started(NOW + 60_000, NOW + 60_000);
        assert_eq!(
            stats.lateness(NOW + 60_000).started,
            2,
            "its place was another's"
        );
        assert_eq!(stats.lateness(NOW + 600_000).started, 0);
    }

    #[test]
    fn percentiles_are_no_later_than_they_say() {
        let stats = Stats::default();
        for (late, times) in [(0, 980), (15, 15), (700, 5)] {
            for _ in 0..times {
                stats.started(NOW - late, NOW);
            }
        }
        let lateness = stats.lateness(NOW);
        assert_eq!(
            (lateness.p50_ms, lateness.p99_ms, lateness.worst_ms),
            (1, 20, 700)
        );
    }

    #[test]
    fn it_is_late_when_tasks_start_late_or_wait_past_their_time() {
        let counts = |waiting, due_ms| DelayCounts {
            waiting,
            oldest_due_ms: due_ms,
        };
        let lateness = |started, p99_ms| Lateness {
            started,
            p50_ms: 1,
            p99_ms,
            worst_ms: p99_ms,
        };
        let say = |counts, lateness| report(counts, lateness, NOW);
        assert_eq!(say(counts(0, None), lateness(0, 0)), Report::Idle);
        let cases = [
            (
                counts(3, Some(NOW + 90_000)),
                lateness(0, 0),
                false,
                "3 wait, the first is due in 90 s; none started",
            ),
            (
                counts(COUNT_CAP + 1, Some(NOW - 700)),
                lateness(5, 20),
                false,
                "100000+ wait, the oldest 700 ms past",
            ),
            (
                counts(3, Some(NOW - 61_000)),
                lateness(0, 0),
                true,
                "the oldest 61 s past its time",
            ),
            (
                counts(0, None),
                lateness(5, 2000),
                true,
                "none waits; in the last minute 5 started",
            ),
            (
                counts(0, None),
                lateness(5, 1000),
                false,
                "99 of 100 within 1000 ms",
            ),
        ];
        for (counts, lateness, late, part) in cases {
            let report = say(counts, lateness);
            let (Report::OnTime(text) | Report::Late(text)) = &report else {
                panic!("{report:?}");
            };
            assert!(text.contains(part), "{text}");
            assert_eq!(matches!(report, Report::Late(_)), late, "{text}");
        }
    }
}
