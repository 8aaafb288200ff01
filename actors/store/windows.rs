//! The windows of one flag and one period: which one a count belongs to, and whether it reaches the limit. Pure.
//!
//! A window opens with the first count and ends a period later; the next count after it opens another one. Processes
//! write once a second, and those of an outage write late: a count belongs to the window of the time at which it was
//! made, so the last windows are kept. **A window is reported once:** the count that reaches its limit marks it in the
//! same transaction. **Reported windows begin a period apart at least**, as their messages do: see
//! [`Windows::join_near`].

use serde_json::json;

use super::warnings::{CountSegment, Period};

/// Windows that are kept behind the last one: an hour of them for a period of a minute. Older counts join the oldest one.
const MOST_EARLIER: usize = 60;
/// Messages of a window, the last ones.
pub(crate) const MOST_MESSAGES: usize = 20;
/// Two processes that count at the same time write a second apart or more, in any order: a count that is older than a window
/// by less than this, in milliseconds, opened it together with the first one.
const TOGETHER_MS: i64 = 5_000;
/// How far in the future a window may begin, in milliseconds: a clock that is set right goes back by seconds.
const MOST_AHEAD_MS: i64 = 60_000;

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Window {
    pub(in crate::store) started_ms: i64,
    pub(in crate::store) counted: i64,
    pub(in crate::store) reported: bool,
}

/// The windows that are known, and the last messages of the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Windows {
    /// By their starts; the newest is the last.
    list: Vec<Window>,
    messages: Vec<String>,
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Reached {
    pub(in crate::store) window: Window,
    pub(in crate::store) messages: Vec<String>,
}

impl Windows {
    /// As they stand in the table. What cannot be read there was changed by hand, and is nothing.
    pub(in crate::store) fn read(newest: Window, earlier: &str, messages: &str) -> Self {
        let earlier: Vec<(i64, i64, bool)> = serde_json::from_str(earlier).unwrap_or_default();
        let mut list: Vec<Window> = earlier
            .into_iter()
            .map(|(started_ms, counted, reported)| Window {
                started_ms,
                counted,
                reported,
            })
            .collect();
        // A row that is only just made has none.
        if newest.counted > 0 {
            list.push(newest);
        }
        list.sort_by_key(|window| window.started_ms);
        Self {
            list,
            messages: serde_json::from_str(messages).unwrap_or_default(),
        }
    }

    /// A window begins with a count, which is of the past: one in the future is of a clock that was set back since then. Kept, it
    /// would take all counts up to its time.
    pub(in crate::store) fn discard_future(&mut self, period: Period, now_ms: i64) {
        let last_ms = now_ms.saturating_add(MOST_AHEAD_MS.min(period.length_ms()));
        let known = self.list.len();
        self.list.retain(|window| window.started_ms <= last_ms);
        if self.list.len() < known {
            // They are the newest one's, which is among them.
            self.messages.clear();
        }
    }

    /// Adds what was counted at that time. Answers the window whose limit is reached by that.
    pub(in crate::store) fn add(
        &mut self,
        period: Period,
        at_ms: i64,
        segment: &CountSegment,
    ) -> Option<Reached> {
        let at = self.place(period, at_ms);
        let is_newest = at + 1 == self.list.len();
        let window = &mut self.list[at];
        window.counted = window.counted.saturating_add(segment.count);
        let is_reached = window.counted >= period.limit && !window.reported;
        window.reported |= is_reached;
        let window = *window;
        let mut messages = match is_newest {
            true => std::mem::take(&mut self.messages),
            false => Vec::new(),
        };
        messages.extend(segment.messages.iter().cloned());
        messages.drain(..messages.len().saturating_sub(MOST_MESSAGES));
        if is_newest {
            self.messages.clone_from(&messages);
        }
        if is_reached {
            self.join_near(window, period.length_ms());
        }
        if self.list.len() > MOST_EARLIER + 1 {
            self.list.remove(0);
        }
        is_reached.then_some(Reached { window, messages })
    }

    /// Windows that begin less than a period before or behind this reported one become part of it: no other one is
    /// reported that close. [`place`](Self::place) opens none there either, so none of them is reported.
    fn join_near(&mut self, reported: Window, length_ms: i64) {
        let is_near = |window: &Window| (window.started_ms - reported.started_ms).abs() < length_ms;
        let near = self.list.iter().filter(|window| is_near(window));
        let counted = near.fold(0_i64, |sum, window| sum.saturating_add(window.counted));
        self.list.retain(|window| !is_near(window));
        let at = self
            .list
            .partition_point(|window| window.started_ms < reported.started_ms);
        self.list.insert(
            at,
            Window {
                counted,
                ..reported
            },
        );
    }

    /// The place of the window that this time belongs to; one is opened where there is none.
    fn place(&mut self, period: Period, at_ms: i64) -> usize {
        let length_ms = period.length_ms();
        let behind = self
            .list
            .partition_point(|window| window.started_ms <= at_ms);
        if let Some(before) = behind.checked_sub(1)
            && at_ms - self.list[before].started_ms < length_ms
        {
            return before;
        }
        let together_ms = TOGETHER_MS.min(length_ms);
        if let Some(next) = self.list.get(behind) {
            let ahead_ms = next.started_ms - at_ms;
            let is_same = ahead_ms < together_ms;
            let is_quiet = next.reported && ahead_ms < length_ms;
            // Its own window may have been dropped, and reported before that: by itself each such count would be judged
            // alone.
            let is_forgotten = behind == 0 && self.list.len() > MOST_EARLIER;
            if is_same || is_quiet || is_forgotten {
                return behind;
            }
        }
        if behind == self.list.len() {
            self.messages.clear();
        }
        let opened = Window {
            started_ms: at_ms,
            counted: 0,
            reported: false,
        };
        self.list.insert(behind, opened);
        behind
    }

    pub(in crate::store) fn newest(&self) -> Option<Window> {
        self.list.last().copied()
    }

    /// For the table.
    pub(in crate::store) fn earlier_text(&self) -> String {
        let earlier = self.list.iter().take(self.list.len().saturating_sub(1));
        let earlier: Vec<_> = earlier
            .map(|window| (window.started_ms, window.counted, window.reported))
            .collect();
        json!(earlier).to_string()
    }

    /// For the table.
    pub(in crate::store) fn messages_text(&self) -> String {
        json!(self.messages).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const MINUTE: Period = Period {
        limit: 100,
        seconds: 60,
    };

    fn segment(count: i64, messages: &[&str]) -> CountSegment {
        CountSegment {
            at: Instant::now(),
            span: Duration::ZERO,
            count,
            messages: messages.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    /// The reports of counts at these seconds: the window's start in seconds, and its count then.
    fn reported(period: Period, adds: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut windows = Windows::default();
        let mut now_s = 0;
        let reached = adds.iter().filter_map(|(at_s, count)| {
            // Each time as it comes out of the table.
            let again = windows.newest().map(|newest| {
                Windows::read(newest, &windows.earlier_text(), &windows.messages_text())
            });
            assert_eq!(again.unwrap_or_default(), windows);
            now_s = now_s.max(*at_s);
            windows.discard_future(period, now_s * 1000);
            windows.add(period, at_s * 1000, &segment(*count, &[]))
        });
        reached
            .map(|reached| (reached.window.started_ms / 1000, reached.window.counted))
            .collect()
    }

    #[test]
    fn a_window_is_reported_once_when_its_limit_is_reached() {
        for (what, adds, expected) in [
            ("below", vec![(0, 99)], vec![]),
            ("exactly", vec![(0, 99), (1, 1)], vec![(0, 100)]),
            ("at once", vec![(0, 10_000)], vec![(0, 10_000)]),
            (
                "quiet then",
                vec![(0, 100), (1, 500), (59, 1)],
                vec![(0, 100)],
            ),
            ("its end is not in it", vec![(0, 99), (60, 1)], vec![]),
            ("its last second is", vec![(0, 99), (59, 1)], vec![(0, 100)]),
            (
                "the next one",
                vec![(0, 100), (75, 100)],
                vec![(0, 100), (75, 100)],
            ),
            (
                "opens with the first count",
                vec![(0, 1), (75, 50), (134, 50)],
                vec![(75, 100)],
            ),
        ] {
            assert_eq!(reported(MINUTE, &adds), expected, "{what}");
        }
    }

    #[test]
    fn a_late_count_belongs_to_the_window_of_its_time() {
        for (what, adds, expected) in [
            (
                "an earlier window",
                vec![(0, 60), (60, 60), (10, 40)],
                vec![(0, 100)],
            ),
            (
                "reported already",
                vec![(0, 100), (60, 60), (10, 400)],
                vec![(0, 100)],
            ),
            (
                "before a window, within seconds",
                vec![(10, 60), (7, 40)],
                vec![(10, 100)],
            ),
            (
                "before a window, long ago",
                vec![(100, 60), (50, 40)],
                vec![],
            ),
            (
                "a window of its own ends at the next",
                vec![(100, 60), (70, 50), (99, 50)],
                vec![(70, 100)],
            ),
            (
                "reported meanwhile, and less than a period later",
                vec![(10, 100), (3, 100), (9, 100)],
                vec![(10, 100)],
            ),
            (
                "its own window is part of the reported one",
                vec![(10, 60), (3, 60), (12, 40), (4, 40), (9, 100)],
                vec![(10, 100)],
            ),
            (
                "and so is a later one",
                vec![(10, 60), (3, 100), (12, 60), (62, 60), (64, 100)],
                vec![(3, 100), (64, 100)],
            ),
            (
                "a period before a reported one",
                vec![(70, 100), (10, 100)],
                vec![(70, 100), (10, 100)],
            ),
            (
                "an outage is no burst",
                (0..60).map(|n| (n * 30, 40)).collect(),
                vec![],
            ),
            (
                "nor is one of two daemons",
                (0..60)
                    .map(|n| (n * 30, 20))
                    .chain((0..60).map(|n| (n * 30 - 10, 20)))
                    .collect(),
                vec![],
            ),
            (
                "and what was reached by both is reported",
                (0..60)
                    .map(|n| (n * 60, 60))
                    .chain([(7 * 60 + 1, 60)])
                    .collect(),
                vec![(420, 120)],
            ),
        ] {
            assert_eq!(reported(MINUTE, &adds), expected, "{what}");
        }
    }

    #[test]
    fn a_short_period_opens_windows() {
        let second = Period {
            limit: 2,
            seconds: 1,
        };
        assert_eq!(reported(second, &[(0, 1), (1, 1), (2, 2)]), [(2, 2)]);
    }

    #[test]
    fn windows_of_a_clock_that_was_ahead_are_discarded() {
        let mut windows = Windows::default();
        for n in 0..200 {
            let at_ms = 10_800_000 + n * 60_000;
            windows.discard_future(MINUTE, at_ms);
            assert!(
                windows
                    .add(MINUTE, at_ms, &segment(100, &["ahead"]))
                    .is_some()
            );
        }
        // Three hours back: 90 within each of ten minutes, and 100 within the next.
        let mut reached = Vec::new();
        for n in 0..11 {
            for second in [0, 20, 40] {
                let at_ms = n * 60_000 + second * 1_000;
                windows.discard_future(MINUTE, at_ms);
                let count = if n == 10 { 50 } else { 30 };
                reached.extend(windows.add(MINUTE, at_ms, &segment(count, &["back"])));
            }
        }
        assert_eq!(reached.len(), 1, "{reached:?}");
        assert_eq!(reached[0].window.started_ms, 600_000);
        assert_eq!(reached[0].messages, ["back", "back"]);
    }

    #[test]
    fn a_clock_that_is_set_right_by_seconds_says_no_window_again() {
        let mut windows = Windows::default();
        let mut add = |at_ms| {
            windows.discard_future(MINUTE, at_ms);
            windows.add(MINUTE, at_ms, &segment(100, &[])).is_some()
        };
        assert!(add(600_000));
        assert!(!add(570_000));
        assert!(!add(600_000));
        assert!(add(660_000));
    }

    #[test]
    fn windows_that_are_reported_begin_a_period_apart() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut windows = Windows::default();
            let mut starts: Vec<i64> = Vec::new();
            for at_ms in (0..3_600_000).step_by(2_000) {
                let late_ms = match random.u8(0..4) {
                    0 => random.i64(0..120_000),
                    _ => 0,
                };
                let count = random.i64(1..40);
                let reached = windows.add(MINUTE, at_ms - late_ms, &segment(count, &[]));
                starts.extend(reached.map(|reached| reached.window.started_ms));
            }
            starts.sort_unstable();
            assert!(starts.len() > 20, "seed {seed}: {starts:?}");
            let apart = starts.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(apart >= Some(60_000), "seed {seed}: {apart:?} ms apart");
        }
    }

    #[test]
    fn the_windows_that_are_kept_are_bounded() {
        let mut windows = Windows::default();
        for n in 0..1_000 {
            windows.add(MINUTE, n * 60_000, &segment(1, &[]));
        }
        assert_eq!(windows.list.len(), MOST_EARLIER + 1);
        // Older than all that are kept: the oldest takes it, and the newest stays.
        let oldest = windows.list[0];
        let reached = windows.add(MINUTE, 0, &segment(100, &["m"])).unwrap();
        assert_eq!(reached.window.started_ms, oldest.started_ms);
        assert_eq!(reached.window.counted, 101);
        assert_eq!(windows.newest().unwrap().started_ms, 999 * 60_000);
    }

    #[test]
    fn two_processes_after_a_long_outage_say_no_more_than_the_periods_of_it() {
        const HOURS_MS: i64 = 3 * 3_600_000;
        for (each, of_first, of_second) in [(100, 180, 0), (1, 0, 1)] {
            let mut windows = Windows::default();
            let mut of = |every_ms: usize, count: i64| {
                let times = (0..HOURS_MS).step_by(every_ms);
                let reached =
                    times.filter_map(|at_ms| windows.add(MINUTE, at_ms, &segment(count, &[])));
                reached.count()
            };
            assert_eq!(of(60_000, each), of_first);
            // 1,500 of them, eight a minute. Those of the first two hours are one count at most.
            assert_eq!(of(7_200, each), of_second, "{each} each");
            let counted: i64 = windows.list.iter().map(|window| window.counted).sum();
            assert!(counted >= 1_500 * each, "{counted}");
        }
    }

    #[test]
    fn the_last_messages_of_the_newest_window_are_kept() {
        let mut windows = Windows::default();
        for n in 0..30 {
            windows.add(MINUTE, n * 1_000, &segment(1, &[&format!("m{n}")]));
        }
        let reached = windows
            .add(MINUTE, 31_000, &segment(70, &["last"]))
            .unwrap();
        assert_eq!(reached.messages.len(), MOST_MESSAGES);
        assert_eq!(reached.messages[0], "m11");
        assert_eq!(reached.messages[19], "last");
        windows.add(MINUTE, 90_000, &segment(1, &["new"]));
        assert_eq!(windows.messages, ["new"]);
        let late = windows
            .add(MINUTE, -60_000, &segment(100, &["late"]))
            .unwrap();
        assert_eq!(
            late.messages,
            ["late"],
            "those of another window are not its own"
        );
        assert_eq!(windows.messages, ["new"]);
    }

    #[test]
    fn what_was_changed_by_hand_is_nothing() {
        let newest = Window {
            started_ms: 1,
            counted: 2,
            reported: true,
        };
        let read = Windows::read(newest, "no JSON", "{}");
        assert_eq!(read.newest(), Some(newest));
        assert_eq!(read.messages_text(), "[]");
    }
}
