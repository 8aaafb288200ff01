//! One outage is two log lines: went away, came back after.
//!
//! Where the cause changes meanwhile ("broken pipe", then "wrong password") one more line reports it, once for each
//! kind of cause and not for what passes in the first seconds; and after each ten minutes one repeats the cause as it
//! is then.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::clock::{millis, now_ms};
use crate::state::view::Away;
use crate::state::{OutageMark, outages};

/// Between two tries at something that is away.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(100),
    max: Duration::from_secs(2),
};
/// A server that restarts is away for several causes, one after the other, that nobody must act on.
const PASSING: Duration = Duration::from_secs(3);
/// Between two lines of an outage that goes on.
const REMINDER: Duration = Duration::from_mins(10);
/// An outage with more kinds of causes has causes that differ each time: from then on there are reminders only.
const MOST_KINDS: usize = 8;

/// Keeps watch over one thing that may be away.
#[derive(Debug)]
pub(crate) struct Outage {
    shared: Arc<Shared>,
    /// Whether the last try failed.
    failing: bool,
    tries: u32,
}

/// What several that need the same thing know of it.
#[derive(Debug)]
struct Shared {
    what: String,
    away: Away,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outage: Option<Current>,
    /// How many of those that need it see it away.
    failing: usize,
    /// When one of them was last answered.
    last_answer: Option<Instant>,
    /// Shows the outage to people.
    mark: Option<OutageMark>,
}

/// An outage that goes on.
#[derive(Debug)]
struct Current {
    since: Instant,
    last_line: Instant,
    /// The kinds of causes that were logged.
    kinds: Vec<String>,
}

/// What a failed try has to say.
#[derive(Debug, PartialEq)]
enum News {
    Away,
    /// The outage has lasted for this long, and has another cause now.
    OtherCause(Duration),
    /// The outage has lasted for this long.
    StillAway(Duration),
}

impl State {
    /// A try failed after it had waited for this long.
    fn failed(&mut self, now: Instant, waited: Duration, cause: &str) -> Option<News> {
        let began = now.checked_sub(waited).unwrap_or(now);
        let Some(outage) = &mut self.outage else {
            self.outage = Some(Current {
                since: began,
                last_line: now,
                kinds: vec![kind(cause)],
            });
            return Some(News::Away);
        };
        outage.since = outage.since.min(began);
        let lasts = now - outage.since;
        if now - outage.last_line >= REMINDER {
            outage.last_line = now;
            let kind = kind(cause);
            if !outage.kinds.contains(&kind) && outage.kinds.len() < MOST_KINDS {
                outage.kinds.push(kind);
            }
            return Some(News::StillAway(lasts));
        }
        if lasts < PASSING || outage.kinds.len() >= MOST_KINDS {
            return None;
        }
        let kind = kind(cause);
        if outage.kinds.contains(&kind) {
            return None;
        }
        outage.kinds.push(kind);
        outage.last_line = now;
        Some(News::OtherCause(lasts))
    }
}

impl Shared {
    /// The words of a line for the beginning, the duration and the end. A part of ours is not away, it fails.
    fn words(&self) -> [&'static str; 3] {
        match self.away {
            Away::Server(_) | Away::Queue(_) => [
                "is away, trying again until it is back",
                "is still away",
                "is back",
            ],
            Away::Part => [
                "fails, trying again until it works",
                "still fails",
                "works again",
            ],
        }
    }

    fn log(&self, news: &News, cause: &str) {
        let what = &self.what;
        let [begins, goes_on, _] = self.words();
        match news {
            News::Away => log::warn!("{what} {begins}: {cause}"),
            News::OtherCause(lasts) => log::warn!(
                "{what} {goes_on} after {:.0} s, and now the cause is: {cause}",
                lasts.as_secs_f64()
            ),
            News::StillAway(lasts) => log::warn!(
                "{what} {goes_on} after {} minutes: {cause}",
                lasts.as_secs() / 60
            ),
        }
    }
}

impl State {
    fn publish(&mut self, news: Option<&News>, of: &Shared, silence: Duration, cause: &str) {
        match (news, &self.mark) {
            (Some(News::Away), _) => {
                let since_ms = now_ms() - millis(silence);
                self.mark = Some(outages().begin(&of.away, &of.what, since_ms, cause));
            }
            (Some(_), Some(mark)) => mark.set_cause(cause),
            _ => {}
        }
    }
}

/// Causes that differ in their numbers only (a port, an id, a count) are one kind. Codes would be better, but they come
/// from five libraries, and here nothing but a line of the log depends on it.
fn kind(cause: &str) -> String {
    let is_number = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
    let words = cause.split_whitespace().filter(is_number);
    words.collect::<Vec<_>>().join(" ")
}

impl Outage {
    /// Of a part of this daemon that something holds up. `what` begins the log lines: "the delay queue".
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::begun(what.into(), Away::Part)
    }

    /// Of a server. `name` is the same for all its users; what each user calls it begins the log lines.
    pub(crate) fn of_server(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self::begun(what.into(), Away::Server(name.into()))
    }

    /// Of what the queue needs for itself.
    pub(crate) fn of_queue(queue: impl Into<String>, what: impl Into<String>) -> Self {
        Self::begun(what.into(), Away::Queue(queue.into()))
    }

    fn begun(what: String, away: Away) -> Self {
        Self::of(Arc::new(Shared {
            what,
            away,
            state: Mutex::default(),
        }))
    }

    /// For another user of the same thing: it is away when the first one reports it, and back when all do.
    pub(crate) fn beside(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            failing: false,
            tries: 0,
        }
    }

    /// A try failed at once. Answers how long to wait before the next.
    pub(crate) fn failed(&mut self, cause: impl Display) -> Duration {
        self.failed_after(Duration::ZERO, cause)
    }

    /// A try failed after a silence of this length: the outage began then, and not when patience was at its end.
    ///
    /// Where another that needs the same thing was answered since the try began, its answer is the news and this failure
    /// is of the outage before; the next one in a row counts.
    pub(crate) fn failed_after(&mut self, silence: Duration, cause: impl Display) -> Duration {
        self.failing |= self.count_failure(silence, &cause.to_string());
        self.tries = self.tries.saturating_add(1);
        BACKOFF.pause(self.tries)
    }

    /// Whether it counts.
    fn count_failure(&self, silence: Duration, cause: &str) -> bool {
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        let is_old = |answer: Instant| now.checked_sub(silence).is_some_and(|began| began < answer);
        if self.tries == 0 && state.last_answer.is_some_and(is_old) {
            return false;
        }
        let news = state.failed(now, silence, cause);
        if !self.failing {
            state.failing += 1;
        }
        state.publish(news.as_ref(), &self.shared, silence, cause);
        drop(state);
        if let Some(news) = news {
            self.shared.log(&news, cause);
        }
        true
    }

    /// A try went well.
    pub(crate) fn passed(&mut self) {
        self.tries = 0;
        let mut state = self.shared.state.lock();
        state.last_answer = Some(Instant::now());
        if !self.failing {
            return;
        }
        state.failing -= 1;
        if state.failing == 0
            && let Some(outage) = state.outage.take()
        {
            state.mark = None;
            let [_, _, is_back] = self.shared.words();
            let away = outage.since.elapsed().as_secs_f64();
            log::info!("{} {is_back} after {away:.1} s", self.shared.what);
        }
        drop(state);
        self.failing = false;
    }
}

/// Whoever goes sees nothing any more.
impl Drop for Outage {
    fn drop(&mut self) {
        if self.failing {
            let mut state = self.shared.state.lock();
            state.failing -= 1;
            if state.failing == 0 {
                state.outage = None;
                state.mark = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_anew() {
        let mut outage = Outage::new("it");
        let pauses: Vec<u128> = (0..8).map(|_| outage.failed("gone").as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
        outage.passed();
        assert_eq!(outage.failed("gone"), BACKOFF.base);
    }

    #[test]
    fn a_long_outage_has_a_reminder_every_ten_minutes() {
        let begin = Instant::now();
        let mut state = State::default();
        let second = Duration::from_secs;
        let said = [
            (0, "broken pipe (os error 32)", Some(News::Away)),
            (1, "connection refused (os error 111)", None),
            (2, "LOADING 7 of 100", None),
            (
                4,
                "connection refused (os error 111)",
                Some(News::OtherCause(second(4))),
            ),
            (6, "connection refused (os error 4711)", None),
            (8, "broken pipe (os error 32)", None),
            (
                20,
                "NOAUTH Authentication required",
                Some(News::OtherCause(second(20))),
            ),
            (22, "connection refused (os error 111)", None),
            (619, "NOAUTH Authentication required", None),
            (
                620,
                "NOAUTH Authentication required",
                Some(News::StillAway(second(620))),
            ),
            (1219, "wrong password", Some(News::OtherCause(second(1219)))),
            (1818, "wrong password", None),
            (1819, "no route", Some(News::StillAway(second(1819)))),
            (1820, "no route", None),
        ];
        for (at, cause, wanted) in said {
            let news = state.failed(begin + second(at), Duration::ZERO, cause);
            assert_eq!(news, wanted, "{at}: {cause}");
        }
    }

    #[test]
    fn causes_that_differ_each_time_do_not_fill_the_log() {
        let begin = Instant::now();
        let mut state = State::default();
        let cause = |n: u64| "x".repeat(usize::try_from(n).unwrap());
        let lines = (0..300).filter(|n| {
            let at = begin + Duration::from_secs(2 * n);
            state.failed(at, Duration::ZERO, &cause(*n)).is_some()
        });
        assert!(lines.count() <= MOST_KINDS);
    }

    #[test]
    fn an_earlier_failure_is_no_new_outage() {
        let mut one = Outage::of_server("it", "it");
        let mut other = one.beside();
        one.failed("gone");
        one.passed();
        let before = Duration::from_secs(5);
        assert_eq!(other.failed_after(before, "timed out"), BACKOFF.base);
        assert!(other.shared.state.lock().outage.is_none());
        other.failed_after(before, "timed out");
        assert!(
            other.shared.state.lock().outage.is_some(),
            "nobody answers this one"
        );
        other.passed();
        assert_eq!(other.shared.state.lock().failing, 0);
        assert!(other.shared.state.lock().outage.is_none());
    }

    #[test]
    fn an_outage_began_when_the_last_answer_came() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut state = State::default();
        let silence = Duration::from_secs(5);
        assert_eq!(state.failed(now, silence, "late"), Some(News::Away));
        assert_eq!(state.outage.unwrap().since, now - silence);
    }
}
