//! What is wrong, in the reader's language, with where to look.

use std::collections::BTreeSet;

use super::dead_sources::DeadSource;
use super::format::{capped, count};
use super::visit::Visit;
use crate::clock::now_ms;
use crate::http::wrong::{Fact, Wrong, wrong};
use crate::state::LagSight;

/// Points of the last five minutes, over which a lag is compared.
const TREND_POINTS: usize = 30;

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) about: String,
    /// The page that helps.
    pub(super) link: String,
    pub(super) since_ms: Option<i64>,
    /// It may be older.
    pub(super) at_least: bool,
    pub(super) text: String,
    pub(super) remedy: String,
    /// The part of a page that shows what the remedy is about: words, and an address.
    pub(super) further: Option<(&'static str, String)>,
    /// Of dead letters: where they came from.
    pub(super) sources: Vec<DeadSource>,
}

/// All of it, and which queues and cron entries it concerns.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub(super) list: Vec<Trouble>,
    /// Names of queues.
    pub(super) queues: BTreeSet<String>,
    /// Keys of cron entries.
    pub(super) cron: BTreeSet<String>,
}

impl Visit {
    pub(super) async fn troubles(&self) -> Troubles {
        let readiness = self.readiness().await;
        let now = now_ms();
        let mut all = Troubles::default();
        for one in wrong(&self.config.state, &readiness.missing, now) {
            match &one.fact {
                Fact::Behind(lag) | Fact::Unread(lag) => {
                    all.queues.insert(lag.queue.clone());
                }
                Fact::LongRun { queue } => {
                    all.queues.insert(queue.clone());
                }
                Fact::BadRuns { key, .. } => {
                    all.cron.insert(key.clone());
                }
                _ => {}
            }
            all.list.push(self.trouble(one, now));
        }
        all
    }

    fn trouble(&self, one: Wrong, now: i64) -> Trouble {
        let t = self.t;
        let queue = |name: &str| {
            let link = self.link("/queue", &[("name", name)]);
            (t.queue_named(name), link)
        };
        // Which daemons there are, and whether their heartbeats come.
        let daemons = format!("{}/#daemons", self.place.base);
        let ((about, link), text, remedy) = match &one.fact {
            Fact::Readiness => (
                (t.wrong_readiness().to_owned(), daemons),
                one.text.clone(),
                t.wrong_readiness_remedy(),
            ),
            Fact::Away { cause } => (
                (one.about.clone(), self.page_about(&one.about)),
                t.wrong_away(cause),
                t.wrong_outage_remedy(),
            ),
            Fact::HeldUp { cause } => (
                (one.about.clone(), self.page_about(&one.about)),
                t.wrong_held_up(cause),
                t.wrong_outage_remedy(),
            ),
            Fact::Behind(lag) => (queue(&lag.queue), self.behind(lag), t.wrong_behind_remedy()),
            Fact::Unread(lag) => {
                let text = match (lag_text(lag), lag.read_ms) {
                    (Some(shown), Some(read)) => t.wrong_unread_last(shown, t.ago(read, now)),
                    _ => t.wrong_unread().to_owned(),
                };
                (queue(&lag.queue), text, t.wrong_unread_remedy())
            }
            Fact::LongRun { queue: name } => (
                queue(name),
                t.wrong_long_run().to_owned(),
                t.wrong_long_run_remedy(),
            ),
            Fact::LateTasks {
                waiting,
                late_ms,
                running,
            } => (
                (
                    t.wrong_delay_title().to_owned(),
                    self.link("/delay", &[("status", "waiting")]),
                ),
                t.wrong_late(capped(*waiting), t.span(*late_ms), running),
                t.wrong_late_remedy(),
            ),
            Fact::BadRuns { key, count, error } => {
                let text = match count {
                    1 => t.wrong_runs(error),
                    n => t.wrong_runs_row(n, error),
                };
                let name = one.about.strip_prefix("cron ").unwrap_or(&one.about);
                let link = self.link("/cron/entry", &[("key", key)]);
                ((t.cron_named(name), link), text, t.wrong_runs_remedy())
            }
            Fact::DeadLetters { count } => (
                (
                    t.wrong_dead_letters_title().to_owned(),
                    self.link("/dead", &[]),
                ),
                t.wrong_dead_letters(capped(*count)),
                t.wrong_dead_letters_remedy(),
            ),
        };
        let further = match &one.fact {
            Fact::Behind(_) => Some((t.see_handler_time(), format!("{link}#hour"))),
            Fact::LongRun { .. } => Some((t.see_what_runs(), format!("{link}#running"))),
            Fact::BadRuns { .. } => Some((t.see_its_runs(), format!("{link}#runs"))),
            _ => None,
        };
        Trouble {
            about,
            link,
            further,
            since_ms: one.since_ms,
            at_least: one.at_least,
            text,
            remedy: remedy.to_owned(),
            sources: match one.fact {
                Fact::DeadLetters { .. } => self.dead_sources(),
                _ => Vec::new(),
            },
        }
    }

    /// Of an outage: the page of the queue or cron entry that its name has between backticks; else the queues, which wait
    /// for what is away.
    fn page_about(&self, about: &str) -> String {
        let names = |name: &str| about.contains(&format!("`{name}`"));
        let state = &self.config.state;
        if let Some(queue) = state.queues().iter().find(|queue| names(&queue.name)) {
            return self.link("/queue", &[("name", &queue.name)]);
        }
        match state.cron().iter().find(|entry| names(&entry.facts().name)) {
            Some(entry) => self.link("/cron/entry", &[("key", &entry.key)]),
            None => self.link("/queues", &[]),
        }
    }

    /// With how the lag has changed: whether waiting helps.
    fn behind(&self, lag: &LagSight) -> String {
        let t = self.t;
        let shown = lag_text(lag).unwrap_or_default();
        let mut text = t.wrong_behind(shown, count(lag.limit), lag.present, lag.ceiling);
        let history = self.config.state.queue_history(&lag.queue);
        let before = history.and_then(|history| {
            let points = history.series.lag;
            let at = points.len().checked_sub(TREND_POINTS)?;
            points[at].map(u64::from)
        });
        let minutes = TREND_POINTS / 6;
        if let (Some(before), Some(now)) = (before, lag.lag) {
            let said = match now.cmp(&before) {
                std::cmp::Ordering::Greater => t.wrong_growing(count(before), minutes),
                std::cmp::Ordering::Less => t.wrong_shrinking(count(before), minutes),
                std::cmp::Ordering::Equal => return text,
            };
            text.push(' ');
            text += &said;
        }
        text
    }
}

/// The last lag that was read.
pub(super) fn lag_text(lag: &LagSight) -> Option<String> {
    let mark = if lag.lag_is_capped { "+" } else { "" };
    lag.lag.map(|lag| format!("{}{mark}", count(lag)))
}
