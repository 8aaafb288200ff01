//! What is paused, as the rows of `pause` say, and a flag for each part of the daemon that must see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::state::State;
use crate::state::view::PauseView;
use crate::store::rows::PauseRow;

/// What can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PauseKind {
    /// Everything below.
    All,
    /// The queue entries of one name.
    Queue,
    /// The cron entries of one name.
    Cron,
    /// The delay queue.
    Delay,
}

impl PauseKind {
    const EACH: [Self; 4] = [Self::All, Self::Queue, Self::Cron, Self::Delay];

    /// As it stands in `pause.kind`.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queue => "queue",
            Self::Cron => "cron",
            Self::Delay => "delay",
        }
    }

    pub(crate) fn of_column(column: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|kind| kind.column() == column)
    }

    /// For people.
    pub(crate) fn describe(self, name: &str) -> String {
        match self {
            Self::All => "everything".to_owned(),
            Self::Queue => format!("queue `{name}`"),
            Self::Cron => format!("cron `{name}`"),
            Self::Delay => "the delay queue".to_owned(),
        }
    }
}

/// A pause that began, and ended if it has an end. Unix milliseconds of the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pause {
    kind: PauseKind,
    name: String,
    since_ms: i64,
    until_ms: Option<i64>,
    ordered_by: String,
}

impl Pause {
    /// A row of a newer release may have a kind that is not known here.
    fn of_row(row: PauseRow) -> Option<Self> {
        Some(Self {
            kind: PauseKind::of_column(&row.kind)?,
            name: row.name,
            since_ms: row.since_ms,
            until_ms: row.until_ms,
            ordered_by: row.ordered_by,
        })
    }

    fn holds(&self) -> bool {
        self.until_ms.is_none()
    }

    fn is_about(&self, kind: PauseKind, name: &str) -> bool {
        self.kind == PauseKind::All || self.kind == kind && self.name == name
    }

    fn covers(&self, at_ms: i64) -> bool {
        self.since_ms <= at_ms && self.until_ms.is_none_or(|until| at_ms < until)
    }
}

/// All pauses that hold, and those that ended within the last day. Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Pauses(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    pauses: Vec<Pause>,
    flags: Vec<(PauseKind, String, PauseFlag)>,
}

impl Known {
    fn hold(&self, kind: PauseKind, name: &str) -> bool {
        let mut pauses = self.pauses.iter();
        pauses.any(|pause| pause.holds() && pause.is_about(kind, name))
    }
}

impl Pauses {
    /// The flag of one part, which follows the rows from now on. There is one of each name: an entry that a reload starts
    /// again has the flag that it had.
    pub(crate) fn flag(&self, kind: PauseKind, name: &str) -> PauseFlag {
        let mut known = self.0.lock();
        let mut flags = known.flags.iter();
        if let Some((.., flag)) = flags.find(|(of, its, _)| (*of, its.as_str()) == (kind, name)) {
            return flag.clone();
        }
        let flag = PauseFlag::default();
        flag.set(known.hold(kind, name));
        known.flags.push((kind, name.to_owned(), flag.clone()));
        flag
    }

    /// The rows as they are now. Answers a line for the log of each pause that began or ended since they were last read.
    pub(crate) fn learn(&self, rows: Vec<PauseRow>) -> Vec<String> {
        let mut known = self.0.lock();
        let before = std::mem::take(&mut known.pauses);
        known.pauses = rows.into_iter().filter_map(Pause::of_row).collect();
        for (kind, name, flag) in &known.flags {
            flag.set(known.hold(*kind, name));
        }
        let held = |pauses: &[Pause], one: &Pause| {
            let mut same = pauses
                .iter()
                .filter(|pause| (pause.kind, &pause.name) == (one.kind, &one.name));
            same.any(Pause::holds)
        };
        let began = known.pauses.iter();
        let began = began.filter(|pause| pause.holds() && !held(&before, pause));
        let began = began.map(|pause| {
            let what = pause.kind.describe(&pause.name);
            format!("{what} is paused, by order of {}", pause.ordered_by)
        });
        let ended = before.iter();
        let ended = ended.filter(|pause| pause.holds() && !held(&known.pauses, pause));
        let ended = ended.map(|pause| format!("{} is resumed", pause.kind.describe(&pause.name)));
        began.chain(ended).collect()
    }

    /// Shows what is paused to people, and to those that judge whether a queue keeps up.
    pub(crate) fn publish(&self, state: &State) {
        let known = self.0.lock();
        for queue in state.queues().iter() {
            queue.set_paused(known.hold(PauseKind::Queue, &queue.name));
        }
        state.delay.set_paused(known.hold(PauseKind::Delay, ""));
        let held = known.pauses.iter().filter(|pause| pause.holds());
        let shown = held.map(|pause| PauseView {
            what: pause.kind.describe(&pause.name),
            since_ms: pause.since_ms,
            ordered_by: pause.ordered_by.clone(),
        });
        *state.pauses.lock() = shown.collect();
    }

    /// Whether it was, or is, paused at that moment.
    pub(crate) fn cover(&self, kind: PauseKind, name: &str, at_ms: i64) -> bool {
        let known = self.0.lock();
        let mut pauses = known.pauses.iter();
        pauses.any(|pause| pause.is_about(kind, name) && pause.covers(at_ms))
    }

    /// From when on after `from` it has not been paused: the end of the last pause, or `now_ms` while one holds.
    pub(crate) fn last_end(&self, kind: PauseKind, name: &str, from: i64, now_ms: i64) -> i64 {
        let known = self.0.lock();
        let about = known
            .pauses
            .iter()
            .filter(|pause| pause.is_about(kind, name));
        let ends = about.map(|pause| pause.until_ms.unwrap_or(now_ms).min(now_ms));
        ends.fold(from, i64::max)
    }
}

/// Whether one part is paused. Cheap to ask: it is asked before each message.
#[derive(Clone)]
pub(crate) struct PauseFlag(Arc<Flag>);

struct Flag {
    is_on: AtomicBool,
    changes: watch::Sender<bool>,
}

/// One that is never paused.
impl Default for PauseFlag {
    fn default() -> Self {
        Self(Arc::new(Flag {
            is_on: AtomicBool::new(false),
            changes: watch::Sender::new(false),
        }))
    }
}

impl PauseFlag {
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Acquire)
    }

    /// Waits until it is not paused.
    pub(crate) async fn off(&self) {
        let mut changes = self.0.changes.subscribe();
        // The sender lives as long as this flag.
        let _ = changes.wait_for(|is_on| !is_on).await;
    }

    /// Sees each change from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<bool> {
        self.0.changes.subscribe()
    }

    fn set(&self, is_on: bool) {
        self.0.is_on.store(is_on, Ordering::Release);
        self.0.changes.send_if_modified(|now| {
            let changes = *now != is_on;
            *now = is_on;
            changes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, name: &str, since_ms: i64, until_ms: Option<i64>) -> PauseRow {
        PauseRow {
            kind: kind.to_owned(),
            name: name.to_owned(),
            since_ms,
            until_ms,
            ordered_by: "ann".to_owned(),
        }
    }

    #[test]
    fn a_flag_follows_its_own_rows_and_those_of_everything() {
        let pauses = Pauses::default();
        let queue = pauses.flag(PauseKind::Queue, "orders");
        let cron = pauses.flag(PauseKind::Cron, "orders");
        let delay = pauses.flag(PauseKind::Delay, "");
        let on = || [queue.is_on(), cron.is_on(), delay.is_on()];
        for (rows, expected) in [
            (vec![], [false; 3]),
            (vec![row("queue", "orders", 5, None)], [true, false, false]),
            (vec![row("queue", "order", 5, None)], [false; 3]),
            (vec![row("cron", "orders", 5, None)], [false, true, false]),
            (vec![row("delay", "", 5, None)], [false, false, true]),
            (vec![row("all", "", 5, None)], [true; 3]),
            (vec![row("all", "", 5, Some(6))], [false; 3]),
            (
                vec![row("all", "", 5, Some(6)), row("queue", "orders", 7, None)],
                [true, false, false],
            ),
            (vec![row("galaxy", "", 5, None)], [false; 3]),
        ] {
            pauses.learn(rows.clone());
            assert_eq!(on(), expected, "{rows:?}");
        }
        pauses.learn(vec![row("all", "", 5, None)]);
        assert!(pauses.flag(PauseKind::Queue, "later").is_on());
    }

    #[test]
    fn a_moment_is_covered_from_the_pause_to_the_resume() {
        let pauses = Pauses::default();
        pauses.learn(vec![row("cron", "report", 10, Some(20))]);
        let covered = |at| pauses.cover(PauseKind::Cron, "report", at);
        assert_eq!([9, 10, 19, 20].map(covered), [false, true, true, false]);
        assert!(!pauses.cover(PauseKind::Cron, "other", 15));
        assert!(!pauses.cover(PauseKind::Queue, "report", 15));
        pauses.learn(vec![row("all", "", 10, None)]);
        assert_eq!([9, 10, 1 << 40].map(covered), [false, true, true]);
    }

    #[test]
    fn fires_before_the_last_resume_are_left() {
        let pauses = Pauses::default();
        let from = |from| pauses.last_end(PauseKind::Cron, "report", from, 100);
        assert_eq!(from(5), 5);
        pauses.learn(vec![
            row("cron", "report", 10, Some(20)),
            row("cron", "other", 10, Some(90)),
        ]);
        assert_eq!([from(5), from(15), from(30)], [20, 20, 30]);
        pauses.learn(vec![
            row("cron", "report", 10, Some(20)),
            row("all", "", 40, None),
        ]);
        assert_eq!(from(5), 100, "it is paused now");
        pauses.learn(vec![row("cron", "report", 10, Some(200))]);
        assert_eq!(from(5), 100, "by a clock that is ahead");
    }

    #[test]
    fn each_change_is_one_line() {
        let pauses = Pauses::default();
        let paused = vec![row("queue", "orders", 5, None)];
        assert_eq!(
            pauses.learn(paused.clone()),
            ["queue `orders` is paused, by order of ann"]
        );
        assert_eq!(pauses.learn(paused), [""; 0]);
        assert_eq!(
            pauses.learn(vec![
                row("queue", "orders", 5, Some(9)),
                row("all", "", 9, None)
            ]),
            [
                "everything is paused, by order of ann",
                "queue `orders` is resumed"
            ]
        );
        assert_eq!(pauses.learn(Vec::new()), ["everything is resumed"]);
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_it_is_resumed() {
        let pauses = Pauses::default();
        let flag = pauses.flag(PauseKind::Delay, "");
        flag.off().await;
        pauses.learn(vec![row("delay", "", 5, None)]);
        let waiting = tokio::spawn({
            let flag = flag.clone();
            async move { flag.off().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        pauses.learn(Vec::new());
        waiting.await.unwrap();
    }
}
