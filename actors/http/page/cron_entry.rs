//! One cron entry: its fires, its runs, its orders, and why it did not run.

use std::time::Duration;

use actix_web::HttpResponse;
use askama::Template;
use chrono::{DateTime, Local, NaiveDateTime, TimeZone, Utc};
use tokio::time::timeout;

use super::cron::CronRow;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::run_bars::Bars;
use super::run_rows::RunRow;
use super::visit::Visit;
use super::why::{Due, MEANT_MS, Why, why};
use crate::clock::now_ms;
use crate::cron::{Word, quote};
use crate::http::unknown::Named;
use crate::orders::PauseKind;
use crate::state::view::{CronView, PauseView};
use crate::store::DbError;
use crate::store::traces::TracesAsked;

/// Next fires that are shown.
const MOST_FIRES: usize = 5;
/// A page waits no longer for the database: what it knows otherwise is shown without.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Template)]
#[template(path = "cron_entry.html")]
struct EntryPage {
    frame: Frame,
    t: Language,
    row: CronRow,
    view: CronView,
    key: String,
    same: usize,
    pause: Option<PauseView>,
    orders: Vec<Order>,
    next: Vec<i64>,
    spread: Option<String>,
    bars: Option<Bars>,
    runs: Vec<RunRow>,
    runs_unknown: Option<String>,
    teach: String,
    /// What was typed, and the answer.
    at: String,
    zone: String,
    answer: Option<String>,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let key = visit.get("key").unwrap_or_default();
    let Some(entry) = visit.config.state.cron_entry(key) else {
        return visit.unnamed(Tab::Cron, Named::Cron, key);
    };
    let troubles = visit.troubles().await;
    let (view, now) = (entry.view(), now_ms());
    let name = view.facts.name.clone();
    let due = Due::of(&view.facts);
    let (runs, runs_unknown) = match visit.runs(&entry.key).await {
        Ok(runs) => (runs, None),
        Err(cause) => (Vec::new(), Some(t.runs_unknown(cause))),
    };
    let answer = match visit.get("at") {
        None => None,
        Some(typed) => Some(visit.answer_why(&view, due.as_ref(), typed).await),
    };
    let half = view
        .duration
        .quantile(0.5)
        .zip(view.duration.quantile(0.99));
    visit.show(&EntryPage {
        frame: visit.frame(Tab::Cron, &name),
        t,
        row: visit.cron_row(&entry, &troubles),
        key: entry.key.clone(),
        same: visit.same_name(&name),
        pause: visit.pause_of(PauseKind::Cron, &name),
        orders: vec![
            Order {
                input: Some(("params", t.run_params())),
                ..Order::new("/cron/run", t.run_now(), &[("key", &entry.key)])
            },
            visit.pause_order(PauseKind::Cron, &name),
        ],
        next: match (due, view.next_fire_ms) {
            (Some(due), Some(next)) => due.next(next - 1, MOST_FIRES),
            (_, next) => next.into_iter().collect(),
        },
        spread: half.map(|(half, most)| t.half_and_most(t.seconds(half), t.seconds(most))),
        bars: Bars::of(&runs, now),
        runs: runs
            .into_iter()
            .map(|run| visit.run_row(run, &view.failures, now))
            .collect(),
        runs_unknown,
        teach: format!("simplest_script cron run {}", quote(&name, Word::Argument)),
        at: visit.get("at").unwrap_or_default().to_owned(),
        zone: Local::now().format("%:z").to_string(),
        answer,
        view,
    })
}

impl Visit {
    async fn answer_why(&self, view: &CronView, due: Option<&Due>, typed: &str) -> String {
        let t = self.t;
        let (Some(due), Some(moment)) = (due, moment(typed, self.get("zone"))) else {
            return t.why_not_a_moment().to_owned();
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
            Ok(traces) => self.said(view, why(due, moment, &traces, now_ms())),
            Err(cause) => t.runs_unknown(cause),
        }
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

impl Language {
    /// The word for a status of `cron_run`.
    pub(super) fn run_status(self, status: &str) -> &'static str {
        match status {
            "success" => self.status_success(),
            "timeout" => self.status_timeout(),
            "killed" => self.status_killed(),
            "lost" => self.status_lost(),
            "skipped" => self.status_skipped(),
            "starting" => self.status_starting(),
            "running" => self.status_running(),
            _ => self.status_failed(),
        }
    }
}

/// The database's answer in time, or why there is none.
pub(super) async fn in_time<T>(
    asked: impl Future<Output = Result<T, DbError>>,
) -> Result<T, String> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|cause| cause.to_string()),
        Err(_) => Err(format!("the database has not answered for {PATIENCE:?}")),
    }
}

/// Minutes east of Greenwich, by the browser; none where it sends nothing.
fn offset(zone: Option<&str>) -> Option<chrono::FixedOffset> {
    let minutes: i32 = zone?.parse().ok()?;
    chrono::FixedOffset::east_opt(minutes.checked_mul(60)?)
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

/// Within a sentence: in the reader's zone.
fn shown(ms: i64, zone: Option<&str>) -> String {
    const FORM: &str = "%Y-%m-%d %H:%M:%S";
    let Some(at) = DateTime::<Utc>::from_timestamp_millis(ms) else {
        return ms.to_string();
    };
    match offset(zone) {
        Some(offset) => at.with_timezone(&offset).format(FORM).to_string(),
        None => at.with_timezone(&Local).format(FORM).to_string(),
    }
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
