//! One cron entry: its fires, its runs, its orders, and why it did not run.

use std::time::Duration;

use actix_web::HttpResponse;
use askama::Template;
use chrono::Local;
use tokio::time::timeout;

use super::cron::CronRow;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::pause_periods::Pauses;
use super::pausing::PauseNote;
use super::run_bars::Bars;
use super::run_rows::RunRow;
use super::visit::{Visit, query};
use super::why::Due;
use super::why_answer::WhyAnswer;
use crate::clock::now_ms;
use crate::cron::{Word, quote};
use crate::http::unknown::Named;
use crate::orders::PauseKind;
use crate::state::view::CronView;
use crate::store::DbError;

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
    pause: Option<PauseNote>,
    orders: Vec<Order>,
    next: Vec<i64>,
    spread: Option<String>,
    bars: Option<Bars>,
    runs: Vec<RunRow>,
    runs_unknown: Option<String>,
    pauses: Pauses,
    teach: String,
    /// What was typed, and the answer.
    at: String,
    zone: String,
    answer: Option<WhyAnswer>,
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
        pause: visit.pause_note(PauseKind::Cron, &name),
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
        pauses: visit.pauses_of_entry(&name).await,
        teach: format!("simplest_script cron run {}", quote(&name, Word::Argument)),
        at: visit.get("at").unwrap_or_default().to_owned(),
        zone: Local::now().format("%:z").to_string(),
        answer,
        view,
    })
}

impl EntryPage {
    fn run_link(&self, run: &str) -> String {
        format!("{}/run{}", self.frame.base, query(&[("id", run)]))
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
