//! How fast a receiver takes messages.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};
use tokio::time::Instant;

use crate::config::WebhookKind;

const MINUTE: Duration = Duration::from_secs(60);
/// How long Feishu is busy when every hour and half hour begin, with what others have timed; messages wait for up to
/// as much more.
const BUSY: Duration = Duration::from_secs(10);
const HALF_HOUR_S: u32 = 30 * 60;

/// The limits of a kind, a little below those that its maker names: several daemons may share one robot.
struct Limits {
    /// Between two messages.
    gap: Duration,
    /// In each minute.
    each_minute: usize,
    /// Whether it is busy when an hour or half an hour begins.
    has_busy_times: bool,
}

fn limits(kind: WebhookKind) -> Limits {
    let (gap, each_minute, has_busy_times) = match kind {
        // 5 a second, 100 a minute.
        WebhookKind::Feishu => (Duration::from_millis(250), 90, true),
        // 20 a minute; DingTalk takes nothing for ten minutes after more.
        WebhookKind::WeCom | WebhookKind::DingTalk => (Duration::from_secs(4), 15, false),
        // About 1 a second.
        WebhookKind::Slack => (Duration::from_millis(1_200), usize::MAX, false),
        WebhookKind::Json | WebhookKind::Alertmanager => {
            (Duration::from_millis(100), usize::MAX, false)
        }
    };
    Limits {
        gap,
        each_minute,
        has_busy_times,
    }
}

/// Knows when the next message may go.
pub(super) struct Pace {
    limits: Limits,
    /// The last messages, the oldest first.
    sent: VecDeque<Instant>,
    /// The receiver wants nothing before.
    hold_until: Option<Instant>,
}

impl Pace {
    pub(super) fn of(kind: WebhookKind) -> Self {
        Self {
            limits: limits(kind),
            sent: VecDeque::new(),
            hold_until: None,
        }
    }

    /// When the next message may go, at the earliest. `spread` is random, from 0 to 1.
    pub(super) fn next(&self, now: Instant, wall: DateTime<Utc>, spread: f64) -> Instant {
        let mut next = now;
        if let Some(last) = self.sent.back() {
            next = next.max(*last + self.limits.gap);
        }
        if self.sent.len() >= self.limits.each_minute {
            let oldest = self.sent[self.sent.len() - self.limits.each_minute];
            next = next.max(oldest + MINUTE);
        }
        next = next.max(self.hold_until.unwrap_or(now));
        let wall = wall + (next - now);
        let since = Duration::from_secs(u64::from(
            (wall.minute() * 60 + wall.second()) % HALF_HOUR_S,
        ));
        if self.limits.has_busy_times && since < BUSY {
            next += BUSY - since + BUSY.mul_f64(spread);
        }
        next
    }

    /// Whether the limit of a minute has room for another message, whatever the other limits say.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let last_minute = self.sent.iter().filter(|at| now - **at < MINUTE);
        last_minute.count() < self.limits.each_minute
    }

    /// One went out.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent.push_back(now);
        while self.sent.front().is_some_and(|at| now - *at > MINUTE) {
            self.sent.pop_front();
        }
    }

    /// The receiver asks for a pause.
    pub(super) fn hold(&mut self, now: Instant, pause: Duration) {
        let until = now + pause;
        self.hold_until = Some(self.hold_until.map_or(until, |earlier| earlier.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn wall(minute: u32, second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 29, 8, minute, second)
            .unwrap()
    }

    /// When each of these messages goes, in milliseconds, sent as fast as the pace lets them.
    fn sent(kind: WebhookKind, messages: usize) -> Vec<u128> {
        let begun = Instant::now();
        let (mut now, mut pace) = (begun, Pace::of(kind));
        let mut all = Vec::new();
        for _ in 0..messages {
            let at = wall(11, 0) + (now - begun);
            now = pace.next(now, at, 0.0);
            pace.sent(now);
            all.push((now - begun).as_millis());
        }
        all
    }

    fn most_within(times: &[u128], window_ms: u128) -> usize {
        let from = |start: &u128| {
            times
                .iter()
                .filter(|at| (*start..start + window_ms).contains(at))
                .count()
        };
        times.iter().map(from).max().unwrap_or(0)
    }

    #[test]
    fn each_kind_stays_within_its_limits() {
        for (kind, second, minute) in [
            (WebhookKind::Feishu, 5, 100),
            (WebhookKind::WeCom, 1, 20),
            (WebhookKind::DingTalk, 1, 20),
            (WebhookKind::Slack, 1, 60),
        ] {
            let times = sent(kind, 300);
            assert_eq!(times[0], 0, "{kind:?}: the first waits for nothing");
            assert!(most_within(&times, 1_000) <= second, "{kind:?}: {times:?}");
            assert!(most_within(&times, 60_000) <= minute, "{kind:?}: {times:?}");
        }
        assert_eq!(sent(WebhookKind::WeCom, 3), [0, 4_000, 8_000]);
    }

    #[test]
    fn feishu_gets_nothing_when_an_hour_or_half_an_hour_begins() {
        let now = Instant::now();
        let waits = |kind, at, spread| (Pace::of(kind).next(now, at, spread) - now).as_secs();
        assert_eq!(waits(WebhookKind::Feishu, wall(0, 0), 0.0), 10);
        assert_eq!(waits(WebhookKind::Feishu, wall(30, 9), 0.0), 1);
        assert_eq!(waits(WebhookKind::Feishu, wall(30, 4), 1.0), 16);
        assert_eq!(waits(WebhookKind::Feishu, wall(30, 10), 1.0), 0);
        assert_eq!(waits(WebhookKind::Feishu, wall(29, 59), 1.0), 0);
        assert_eq!(waits(WebhookKind::Slack, wall(0, 0), 1.0), 0);
    }

    #[test]
    fn a_pause_that_the_receiver_asks_for_holds_all_messages() {
        let now = Instant::now();
        let mut pace = Pace::of(WebhookKind::Json);
        pace.hold(now, Duration::from_secs(30));
        pace.hold(now, Duration::from_secs(5));
        let later = now + Duration::from_secs(10);
        assert_eq!(
            pace.next(later, wall(1, 0), 0.0),
            now + Duration::from_secs(30)
        );
    }
}
