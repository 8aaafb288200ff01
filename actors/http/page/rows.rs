//! Lines of lists, and how a list is cut into pages.

use std::sync::Arc;

use super::format::{count, known};
use super::spark::Spark;
use super::trouble::Troubles;
use super::visit::Visit;
use crate::orders::PauseKind;
use crate::state::QueueState;

/// Lines of one page of a list.
pub(super) const MOST_LINES: usize = 50;

/// Which part of a list is shown.
#[derive(Debug, Clone)]
pub(super) struct Part<T> {
    pub(super) lines: Vec<T>,
    /// How many match, and how many there are.
    pub(super) matching: usize,
    pub(super) all: usize,
    pub(super) page: usize,
    pub(super) pages: usize,
    /// The pages before and after this one.
    pub(super) earlier: Option<String>,
    pub(super) later: Option<String>,
}

impl Visit {
    /// The part of a list that `page` of the query asks for. Only its lines are made.
    pub(super) fn part<S, T>(&self, all: usize, found: &[S], make: impl Fn(&S) -> T) -> Part<T> {
        let pages = found.len().div_ceil(MOST_LINES).max(1);
        let asked = self.get("page").and_then(|page| page.parse().ok());
        let page = asked.unwrap_or(1).clamp(1, pages);
        let lines = found.iter().skip((page - 1) * MOST_LINES).take(MOST_LINES);
        let to = |page: usize| {
            let here = self.with(&[("page", &page.to_string())]);
            format!("{}{here}", self.place.base)
        };
        Part {
            lines: lines.map(make).collect(),
            matching: found.len(),
            all,
            page,
            pages,
            earlier: (page > 1).then(|| to(page - 1)),
            later: (page < pages).then(|| to(page + 1)),
        }
    }

    /// Whether a name contains the searched text, in letters of any case.
    pub(super) fn matches(&self, name: &str) -> bool {
        let sought = self.get("q").map(str::to_lowercase);
        sought.is_none_or(|sought| name.to_lowercase().contains(&sought))
    }

    /// The queues that the search and the box ask for, those in trouble first, then as configured.
    pub(super) fn found_queues(&self, troubles: &Troubles) -> Vec<Arc<QueueState>> {
        let queues = self.config.state.queues();
        let only = self.is_set("trouble");
        let is_wrong = |queue: &QueueState| troubles.queues.contains(&queue.name);
        let found = queues
            .iter()
            .filter(|queue| (!only || is_wrong(queue)) && self.matches(&queue.name));
        let mut found: Vec<Arc<QueueState>> = found.cloned().collect();
        found.sort_by_key(|queue| !is_wrong(queue));
        found
    }

    pub(super) fn queue_row(&self, queue: &QueueState, troubles: &Troubles) -> QueueRow {
        let (t, view) = (self.t, queue.figures());
        let history = self.config.state.queue_history(&queue.name);
        let spark = Spark::of(&history.unwrap_or_default());
        let mark = if view.lag_is_capped { "+" } else { "" };
        QueueRow {
            link: self.link("/queue", &[("name", &queue.name)]),
            is_wrong: troubles.queues.contains(&queue.name),
            is_behind: view.behind_since_ms.is_some(),
            is_paused: self.pause_of(PauseKind::Queue, &queue.name).is_some(),
            rate: t.rate(spark.per_second),
            lag: known(view.lag.map(|lag| format!("{}{mark}", count(lag)))),
            failed: count(spark.failed),
            has_failed: spark.failed > 0,
            waited: known(spark.lateness.map(|mean| t.seconds(mean))),
            handler: known(spark.handler.map(|mean| t.seconds(mean))),
            present: view.consumers_present,
            ceiling: view.consumers_ceiling,
            name: view.facts.name,
            spark,
        }
    }
}

/// One queue.
pub(super) struct QueueRow {
    pub(super) name: String,
    pub(super) link: String,
    pub(super) is_wrong: bool,
    pub(super) is_behind: bool,
    pub(super) is_paused: bool,
    pub(super) spark: Spark,
    pub(super) rate: String,
    pub(super) lag: String,
    /// Within the hour.
    pub(super) failed: String,
    pub(super) has_failed: bool,
    pub(super) waited: String,
    pub(super) handler: String,
    pub(super) present: u32,
    pub(super) ceiling: u32,
}
