//! Why an entry did not run, in words, with what leads further.

use chrono::{Local, NaiveDateTime, TimeZone};

use super::cron_entry::in_time;
use super::moments::{as_field, offset, shown};
use super::order::Order;
use super::visit::Visit;
use super::why::{Due, MEANT_MS, Why, why};
use crate::clock::now_ms;
use crate::orders::PauseKind;
use crate::state::view::CronView;
use crate::store::traces::TracesAsked;

/// See the module's header.
#[derive(Default)]
pub(super) struct WhyAnswer {
    pub(super) text: String,
    /// What it names: words, and an address.
    pub(super) links: Vec<(String, String)>,
    /// What mends it.
    pub(super) order: Option<Order>,
}

impl WhyAnswer {
    fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl Visit {
    pub(super) async fn answer_why(
        &self,
        view: &CronView,
        due: Option<&Due>,
        typed: &str,
    ) -> WhyAnswer {
        let t = self.t;
        let (Some(due), Some(moment)) = (due, moment(typed, self.get("zone"))) else {
            return WhyAnswer::of(t.why_not_a_moment());
        };
        let facts = &view.facts;
        let identity = &self.config.state.identity;
        let asked = TracesAsked {
            environment: identity.environment.clone(),
            partition: identity.partition.clone(),
            entry: facts.key.clone(),
            targets: vec![
                PauseKind::Cron.describe(&facts.name),
                PauseKind::All.describe(""),
            ],
            from_ms: moment,
            until_ms: moment + MEANT_MS - 1,
        };
        let reader = self.config.db.reader();
        match in_time(async { reader.traces(asked).await }).await {
            Ok(traces) => {
                let why = why(due, moment, &traces, now_ms());
                WhyAnswer {
                    links: self.named_by(view, &why),
                    order: self.mends(view, &why),
                    text: self.said(view, why),
                }
            }
            Err(cause) => WhyAnswer::of(t.runs_unknown(cause)),
        }
    }

    /// The runs, the order of a pause, and the moments that an answer is about.
    fn named_by(&self, view: &CronView, why: &Why) -> Vec<(String, String)> {
        let t = self.t;
        let run = |label: &str, uk: &str| (label.to_owned(), self.link("/run", &[("id", uk)]));
        let moment = |ms: &i64| {
            let zone = self.get("zone");
            let at = as_field(*ms, zone);
            let pairs = [
                ("key", view.facts.key.as_str()),
                ("at", at.as_str()),
                ("zone", zone.unwrap_or_default()),
            ];
            let link = format!("{}#why", self.link("/cron/entry", &pairs));
            (t.ask_about(shown(*ms, zone)), link)
        };
        match why {
            Why::Ran { run: its }
            | Why::Runs { run: its }
            | Why::Ordered { run: its }
            | Why::NotStarted { run: its } => vec![run(t.see_that_run(), &its.uk)],
            Why::Skipped { run: its, blocker } => {
                let blocker = blocker.iter();
                let blocker = blocker.map(|other| run(t.see_run_in_its_way(), &other.uk));
                let own = run(t.see_that_run(), &its.uk);
                std::iter::once(own).chain(blocker).collect()
            }
            Why::NotDue { before, after } => before.iter().chain(after).map(moment).collect(),
            Why::Paused { order, .. } => {
                vec![(t.see_in_audit().to_owned(), self.audit_link(*order))]
            }
            Why::Ahead { .. }
            | Why::NotLive { .. }
            | Why::Away { .. }
            | Why::Misfire { .. }
            | Why::TooOld { .. } => Vec::new(),
        }
    }

    /// The end of a pause that still holds.
    fn mends(&self, view: &CronView, why: &Why) -> Option<Order> {
        let Why::Paused { target, .. } = why else {
            return None;
        };
        self.resume_order_of(target, &view.facts.name)
    }

    fn said(&self, view: &CronView, why: Why) -> String {
        let t = self.t;
        let zone = self.get("zone");
        let at = |ms: i64| shown(ms, zone);
        let perhaps = |ms: Option<i64>| ms.map_or_else(|| t.unknown_daemon_moment().to_owned(), at);
        let expression = &view.facts.expression;
        let partition = &self.config.state.identity.partition;
        match why {
            Why::Ahead { at: then } => t.why_future(at(then)),
            Why::Ran { run } => t.why_ran(at(run.scheduled_ms), t.run_status(&run.status)),
            Why::Runs { run } => t.why_runs(at(run.scheduled_ms)),
            Why::Ordered { run } => t.why_ordered(at(run.scheduled_ms), t.run_status(&run.status)),
            Why::Skipped { run, blocker } => match blocker {
                Some(blocker) => {
                    t.why_skipped_for(at(run.scheduled_ms), blocker.uk, at(blocker.started_ms))
                }
                None => t.why_skipped(at(run.scheduled_ms)),
            },
            Why::NotStarted { run } => t.why_not_started(at(run.scheduled_ms)),
            Why::NotDue { before, after } => match (before, after) {
                (Some(before), Some(after)) => t.why_not_due(expression, at(before), at(after)),
                (Some(before), None) => t.why_not_due_every(expression, at(before)),
                (None, after) => t.why_not_due_first(expression, perhaps(after)),
            },
            Why::Paused {
                at: then,
                since,
                by,
                target,
                ..
            } => {
                let what = match target == PauseKind::All.describe("") {
                    true => t.everything().to_owned(),
                    false => t.cron_named(&view.facts.name),
                };
                t.why_paused(at(then), what, at(since), by)
            }
            Why::NotLive { at: then, since } => t.why_not_live(at(then), at(since)),
            Why::Away {
                at: then,
                seen: None,
                next: None,
            } => t.why_away(at(then), partition),
            Why::Away {
                at: then,
                seen,
                next,
            } => t.why_away_until(at(then), partition, perhaps(seen), perhaps(next)),
            Why::Misfire { at: then } => t.why_misfire(at(then)),
            Why::TooOld { at: then } => t.why_too_old(at(then)),
        }
    }
}

/// A moment as browsers write it, the minute that it is in; unix milliseconds.
fn moment(typed: &str, zone: Option<&str>) -> Option<i64> {
    const FORMS: [&str; 4] = [
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
    ];
    let naive = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(typed, form).ok())?;
    let ms = match offset(zone) {
        Some(offset) => offset
            .from_local_datetime(&naive)
            .earliest()?
            .timestamp_millis(),
        None => Local
            .from_local_datetime(&naive)
            .earliest()?
            .timestamp_millis(),
    };
    Some(ms - ms.rem_euclid(MEANT_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_minute_of_the_browsers_zone() {
        for (typed, zone, ms) in [
            ("2026-11-29T03:00", Some("0"), Some(1_795_921_200_000)),
            ("2026-11-29T03:00", Some("480"), Some(1_795_892_400_000)),
            ("2026-11-29 03:00:59", Some("0"), Some(1_795_921_200_000)),
            ("yesterday", Some("0"), None),
            ("", None, None),
            ("2026-02-30T03:00", Some("0"), None),
        ] {
            assert_eq!(moment(typed, zone), ms, "{typed} {zone:?}");
        }
        assert_eq!(shown(1_795_921_200_000, Some("480")), "2026-11-29 11:00:00");
        assert_eq!(offset(Some("9999999999")), None);
        assert_eq!(offset(Some("100000")), None);
    }
}
