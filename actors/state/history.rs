//! The last hour, a point each ten seconds.
//!
//! A point is what changed since the one before. Rings grow to their bound and no further: 24 bytes a point and 9 kB an
//! hour for a queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::cell::{Distribution, Scale};
use super::view::{CronView, DelayView, HistoryView, QueueView, SeriesView};
use super::{CronState, QueueState, State};

/// Between two points.
pub(crate) const HISTORY_INTERVAL: Duration = Duration::from_secs(10);
/// Points of an hour.
const POINTS: usize = 360;

/// What happened to one queue entry, cron entry or the delay queue within an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Point {
    /// Messages, tasks or runs that ended well.
    done: u32,
    failed: u32,
    /// Messages that were behind; tasks that waited. None: not known.
    lag: Option<u32>,
    wanted: u16,
    present: u16,
    /// Mean seconds of the handler; of a cron entry the duration of its runs. Below 0: none ran.
    handler: f32,
    /// Mean seconds between arrival (due time, scheduled second) and start. Below 0: none started.
    lateness: f32,
}

/// The counts at the last point.
#[derive(Debug, Clone, Copy)]
struct Before {
    done: u64,
    failed: u64,
    handler: Distribution,
    lateness: Distribution,
}

#[derive(Debug)]
struct Series {
    before: Before,
    points: VecDeque<Point>,
}

/// What is taken for a point.
struct Reading {
    now: Before,
    lag: Option<u64>,
    wanted: u32,
    present: u32,
}

impl Series {
    fn new() -> Self {
        Self {
            before: Before {
                done: 0,
                failed: 0,
                handler: Distribution::empty(Scale::Fast),
                lateness: Distribution::empty(Scale::Fast),
            },
            points: VecDeque::new(),
        }
    }

    fn add(&mut self, reading: &Reading) {
        let (before, now) = (&self.before, &reading.now);
        let grown = |now: u64, before: u64| narrow(now.saturating_sub(before));
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
        let mean = |now: &Distribution, before: &Distribution| {
            now.mean_since(before).map_or(-1.0, |mean| mean as f32)
        };
        let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let point = Point {
            done: grown(now.done, before.done),
            failed: grown(now.failed, before.failed),
            lag: reading.lag.map(narrow),
            wanted: short(reading.wanted),
            present: short(reading.present),
            handler: mean(&now.handler, &before.handler),
            lateness: mean(&now.lateness, &before.lateness),
        };
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
        self.before = reading.now;
    }

    fn view(&self) -> SeriesView {
        let known = |of: fn(&Point) -> f32| {
            let values = self.points.iter().map(of);
            values
                .map(|value| (value >= 0.0).then_some(value))
                .collect()
        };
        SeriesView {
            done: self.points.iter().map(|point| point.done).collect(),
            failed: self.points.iter().map(|point| point.failed).collect(),
            lag: self.points.iter().map(|point| point.lag).collect(),
            wanted: self.points.iter().map(|point| point.wanted).collect(),
            present: self.points.iter().map(|point| point.present).collect(),
            handler_seconds: known(|point| point.handler),
            lateness_seconds: known(|point| point.lateness),
        }
    }
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct History {
    queues: Vec<Series>,
    cron: Vec<Series>,
    delay: Series,
    /// Of the last point, unix milliseconds.
    last_ms: Option<i64>,
}

impl History {
    pub(super) fn new(queues: usize, cron: usize) -> Self {
        let series = |n| std::iter::repeat_with(Series::new).take(n).collect();
        Self {
            queues: series(queues),
            cron: series(cron),
            delay: Series::new(),
            last_ms: None,
        }
    }

    /// Before and after a reload.
    pub(super) fn replace(
        &mut self,
        queues: (&[Arc<QueueState>], &[Arc<QueueState>]),
        cron: (&[Arc<CronState>], &[Arc<CronState>]),
    ) {
        self.queues = kept(std::mem::take(&mut self.queues), queues);
        self.cron = kept(std::mem::take(&mut self.cron), cron);
    }
}

/// The rings of the entries that are still there, and new ones for those that came.
fn kept<T>(series: Vec<Series>, (before, after): (&[Arc<T>], &[Arc<T>])) -> Vec<Series> {
    let mut by_entry: HashMap<*const T, Series> =
        before.iter().map(Arc::as_ptr).zip(series).collect();
    let after = after.iter().map(Arc::as_ptr);
    after
        .map(|entry| by_entry.remove(&entry).unwrap_or_else(Series::new))
        .collect()
}

impl From<&QueueView> for Reading {
    fn from(view: &QueueView) -> Self {
        let counts = &view.counts;
        Self {
            now: Before {
                done: counts.completed,
                failed: counts.failures(),
                handler: counts.handler,
                lateness: counts.waited,
            },
            lag: view.lag,
            wanted: view.consumers_wanted,
            present: view.consumers_present,
        }
    }
}

impl From<&CronView> for Reading {
    fn from(view: &CronView) -> Self {
        Self {
            now: Before {
                done: view.fires.success,
                failed: view.fires.failures(),
                handler: view.duration,
                lateness: view.lateness,
            },
            lag: None,
            wanted: 0,
            present: u32::try_from(view.running_count).unwrap_or(u32::MAX),
        }
    }
}

impl From<&DelayView> for Reading {
    fn from(view: &DelayView) -> Self {
        Self {
            now: Before {
                done: view.tasks.done,
                failed: view.tasks.failures(),
                handler: view.handler,
                lateness: view.lateness,
            },
            lag: view.waiting,
            wanted: 0,
            present: u32::try_from(view.running_count).unwrap_or(u32::MAX),
        }
    }
}

impl State {
    /// Adds a point to every ring; to be called each [`HISTORY_INTERVAL`].
    pub(crate) fn sample(&self, now_ms: i64) {
        let mut history = self.history.lock();
        for (series, queue) in history.queues.iter_mut().zip(self.queues().iter()) {
            series.add(&Reading::from(&queue.figures()));
        }
        for (series, entry) in history.cron.iter_mut().zip(self.cron().iter()) {
            series.add(&Reading::from(&entry.figures()));
        }
        history.delay.add(&Reading::from(&self.delay.view()));
        history.last_ms = Some(now_ms);
    }

    /// The last hour of one queue entry; none for an unknown name.
    pub(crate) fn queue_history(&self, name: &str) -> Option<HistoryView> {
        let history = self.history.lock();
        let at = self.queue_place(name)?;
        Some(view_of(&history, history.queues.get(at)))
    }

    /// The last hour of one cron entry, by its key, or by its name where that is its own.
    pub(crate) fn cron_history(&self, key: &str) -> Option<HistoryView> {
        let history = self.history.lock();
        let at = self.cron_place(key)?;
        Some(view_of(&history, history.cron.get(at)))
    }

    /// The last hour of the delay queue.
    pub(crate) fn delay_history(&self) -> HistoryView {
        let history = self.history.lock();
        view_of(&history, Some(&history.delay))
    }

    /// One queue entry; none for an unknown name.
    pub(crate) fn queue(&self, name: &str) -> Option<Arc<QueueState>> {
        let queues = self.queues();
        queues.iter().find(|queue| queue.name == name).cloned()
    }

    fn queue_place(&self, name: &str) -> Option<usize> {
        self.queues().iter().position(|queue| queue.name == name)
    }

    /// One cron entry, by its key, or by its name: of several with that name the first.
    pub(crate) fn cron_entry(&self, key: &str) -> Option<Arc<CronState>> {
        let cron = self.cron();
        place(&cron, key).and_then(|at| cron.get(at)).cloned()
    }

    fn cron_place(&self, key: &str) -> Option<usize> {
        place(&self.cron(), key)
    }
}

fn place(cron: &[Arc<CronState>], key: &str) -> Option<usize> {
    let by_key = cron.iter().position(|entry| entry.key == key);
    by_key.or_else(|| cron.iter().position(|entry| entry.facts().name == key))
}

fn view_of(history: &History, series: Option<&Series>) -> HistoryView {
    HistoryView {
        interval_seconds: HISTORY_INTERVAL.as_secs(),
        last_ms: history.last_ms,
        series: series.map(Series::view).unwrap_or_default(),
    }
}
