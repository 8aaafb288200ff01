//! One run of a cron entry: how it went, what it printed, and its end.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::answer::Answer;
use super::cron_entry::in_time;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::payload::cut;
use super::run_rows::{self, is_bad, seen};
use super::visit::{Form, Visit};
use crate::clock::now_ms;
use crate::http::guard::Orderer;
use crate::http::ordering;
use crate::logs::{read_part, read_printed};
use crate::operations::cron_end::{self, EndOrdered};
use crate::operations::cron_log::{self, Printed};
use crate::operations::cron_runs::ListedRun;
use crate::operations::{Refusal, cron_run};
use crate::orders::PauseKind;
use crate::state::PrintedPart;
use crate::state::view::FailureView;
use crate::store::daemon_orders::{CronRun, OrderKind};
use crate::store::write::GiveOrders;

/// Bytes of its output that are shown, the last ones.
const MOST_OUTPUT: usize = 64 << 10;
/// Seconds between two refreshes while the run goes on.
const LIVE_REFRESH: u32 = 2;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    t: Language,
    run: ListedRun,
    entry: Option<String>,
    host: String,
    status: &'static str,
    is_good: bool,
    is_bad: bool,
    is_open: bool,
    orders: Vec<Order>,
    start: String,
    left: Left,
    output: Result<Shown, String>,
    teach: String,
}

/// Of what runs printed.
struct Shown {
    text: String,
    /// They are lines of this run; else of all runs of its day.
    are_its: bool,
    /// What is shown.
    note: String,
}

/// What a run that has ended left behind.
struct Left {
    text: Option<String>,
    /// Why there is no text, or no more than this daemon saw.
    note: Option<String>,
}

#[derive(Template)]
#[template(path = "run_waits.html")]
struct WaitingPage {
    frame: Frame,
    t: Language,
    id: String,
    orders: Vec<Order>,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let id = visit.get("id").unwrap_or_default();
    let config = visit.config.files.config();
    let found = cron_log::find_run(&config, visit.config.db.reader(), id);
    let run = match in_time(async { Ok(found.await) }).await {
        Ok(Ok(Printed::Run(run))) => run,
        Ok(Ok(Printed::Waiting)) => {
            let mut frame = visit.frame(Tab::Cron, id);
            frame.refresh = LIVE_REFRESH;
            return visit.show(&WaitingPage {
                frame,
                t,
                id: id.to_owned(),
                orders: vec![end_order(t, id)],
            });
        }
        Ok(Err(Refusal::Unknown(_))) => return visit.missing(Tab::Cron, id),
        Ok(Err(refusal)) => {
            return visit.sorry(
                StatusCode::SERVICE_UNAVAILABLE,
                Tab::Cron,
                t.not_possible(said(t, &refusal)),
            );
        }
        Err(why) => {
            return visit.sorry(StatusCode::SERVICE_UNAVAILABLE, Tab::Cron, t.not_read(why));
        }
    };
    let reader = visit.config.db.reader();
    let orders = in_time(reader.run_orders(vec![run.uk.clone()])).await;
    let orders = orders.unwrap_or_default();
    let mut made_by = orders.iter().filter(|order| order.kind == OrderKind::Run);
    let ordered_by = made_by.next().map(|order| order.ordered_by.clone());
    let is_open = run.ended_ms.is_none();
    let entry = visit.config.state.cron_entry(&run.entry);
    let known = in_time(reader.run_results(vec![run.uk.clone()])).await;
    let failures = entry.as_ref().map(|entry| entry.view().failures);
    let printed = entry.as_ref().and_then(|entry| entry.printed.of(&run.uk));
    let left = Left::of(t, &run.uk, known, &failures.unwrap_or_default());
    let mut frame = visit.frame(Tab::Cron, &run.name);
    if is_open {
        frame.refresh = LIVE_REFRESH;
    }
    visit.show(&RunPage {
        frame,
        t,
        entry: entry.map(|entry| visit.link("/cron/entry", &[("key", &entry.key)])),
        host: host_of(&run),
        status: t.run_status(&run.status),
        is_good: run.status == "success",
        is_bad: is_bad(&run.status),
        is_open,
        orders: match is_open {
            true => vec![end_order(t, &run.uk)],
            false => Vec::new(),
        },
        left,
        output: visit.output(&run, printed).await,
        teach: format!("simplest_script cron logs {} --lines 100000", run.uk),
        start: visit.start_of(&run, ordered_by).text(t),
        run: ListedRun::of_run(run, &orders, now_ms()),
    })
}

impl Left {
    /// `known`: what `crontab_log` has. `failures`: those that this daemon saw.
    fn of(
        t: Language,
        run: &str,
        known: Result<BTreeMap<String, String>, String>,
        failures: &[FailureView],
    ) -> Self {
        let here = || seen(failures, run).and_then(|error| run_rows::said(&error));
        let (text, note) = match known.map(|mut known| known.remove(run)) {
            Ok(Some(result)) => match run_rows::said(&result) {
                Some(text) => (Some(text), None),
                None => (None, Some(t.result_is_empty().to_owned())),
            },
            Ok(None) => (here(), Some(t.result_not_kept().to_owned())),
            Err(cause) => (here(), Some(t.result_unknown(cause))),
        };
        Self {
            text: text.as_deref().map(cut),
            note,
        }
    }
}

/// The machine's name, as the row has it.
fn host_of(run: &CronRun) -> String {
    let place = serde_json::from_str::<serde_json::Value>(&run.machine).ok();
    let host = place.and_then(|place| Some(place.get("host")?.as_str()?.to_owned()));
    host.unwrap_or_default()
}

fn end_order(t: Language, id: &str) -> Order {
    Order {
        confirm: Some(t.end_confirm(id)),
        ..Order::new("/run/end", t.end_run(), &[("id", id)])
    }
}

/// A refusal in words.
fn said(t: Language, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Unknown(why) | Refusal::Misused(why) | Refusal::Impossible(why) => why.clone(),
        Refusal::Database(cause) => t.not_written(cause),
    }
}

impl Visit {
    /// The end of what the run printed, where this daemon has seen where that is; else the end of its day's file. Or why there
    /// is neither.
    async fn output(&self, run: &CronRun, printed: Option<PrintedPart>) -> Result<Shown, String> {
        let t = self.t;
        let config = self.config.files.config();
        let log = cron_log::output_of(&config, &self.config.files.logs, run);
        let others = match printed {
            Some(_) => self.at_the_same_time(run).await,
            None => Ok(0),
        };
        let run = run.clone();
        // Files are read where waiting holds up nobody.
        let read = actix_rt::task::spawn_blocking(move || {
            if let Some(printed) = printed
                && let Ok(Some(part)) = read_printed(&printed, MOST_OUTPUT)
            {
                return Ok((part, true));
            }
            let Some(path) = cron_log::file_of(&log, &run)? else {
                return Err(Refusal::Unknown(cron_log::nothing_there(&log, &run)));
            };
            match read_part(&path, None, MOST_OUTPUT) {
                Ok(part) => Ok(((part, false), false)),
                Err(cause) => Err(cron_log::cannot_read(&path, &cause)),
            }
        });
        let ((part, is_all), are_its) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(refusal)) => return Err(said(t, &refusal)),
            Err(cause) => return Err(cause.to_string()),
        };
        let mut note = match (are_its, is_all) {
            (false, _) => t.output_shared().to_owned(),
            (true, true) => t.output_is_its().to_owned(),
            (true, false) => t.output_end_is_its().to_owned(),
        };
        match others {
            _ if !are_its => {}
            Ok(0) => {}
            Ok(n) => note = format!("{note} {}", t.output_of_others(n)),
            Err(cause) => note = format!("{note} {}", t.runs_unknown(cause)),
        }
        Ok(Shown {
            text: String::from_utf8_lossy(&part.bytes).into_owned(),
            are_its,
            note,
        })
    }

    /// How many other runs of the entry went on while this one did, of the newest ones: their lines are among its own.
    async fn at_the_same_time(&self, run: &CronRun) -> Result<usize, String> {
        let runs = self.runs(&run.entry).await?;
        let ended = |run: &CronRun| run.ended_ms.unwrap_or(i64::MAX);
        let others = runs.iter().map(|known| &known.run).filter(|other| {
            other.uk != run.uk
                && other.status != "skipped"
                && other.started_ms < ended(run)
                && run.started_ms < ended(other)
        });
        Ok(others.count())
    }
}

/// A run now, with other params where some are given.
pub(super) async fn run_now(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let answer = ordered(&visit, &form, orderer).await;
    visit.answer(&form, answer)
}

async fn ordered(visit: &Visit, form: &Form, orderer: Orderer) -> Answer {
    let (t, key) = (visit.t, form.get("key"));
    let config = visit.config.files.config();
    let live = config
        .crontab
        .iter()
        .filter(|entry| entry.live && !entry.drives_delay_queue);
    let entries = crate::cron::LiveEntry::all(live.cloned());
    let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
        return Answer::failed(t.nothing_called(key));
    };
    let params = Some(form.get("params")).filter(|params| !params.is_empty());
    if let Err(refusal) = cron_run::check_params(&entry.config, params) {
        return Answer::failed(t.not_possible(said(t, &refusal)));
    }
    let params = params.map(str::to_owned);
    let order = cron_run::order(&config, &entry.config, params, orderer.who);
    let run = order.uk.clone();
    let db = visit.config.db.clone();
    let given = async move { db.write(GiveOrders(vec![order])).await };
    match ordering::give(&visit.config, given).await {
        Ok(()) => {
            let mut text = t.run_is_ordered(run);
            if visit
                .pause_of(PauseKind::Cron, &entry.config.name)
                .is_some()
            {
                text.push(' ');
                text += t.run_paused_too();
            }
            Answer::done(text)
        }
        Err(not_done) => t.not_done(not_done, |cause| t.not_written(cause)),
    }
}

/// The end of a run, or of the order of one.
pub(super) async fn end(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let (t, id) = (visit.t, form.get("id").to_owned());
    let (config, db) = (visit.config.files.config(), visit.config.db.clone());
    let end = async move { cron_end::end(&config, &db, &id, orderer.who).await };
    let answer = match ordering::give(&visit.config, end).await {
        Ok(EndOrdered::Ordered(run)) => Answer::done(t.end_is_ordered(run.uk)),
        Ok(EndOrdered::TakenBack(order)) => Answer::done(t.run_taken_back(order.uk)),
        Err(not_done) => t.not_done(not_done, |refusal| t.not_possible(said(t, &refusal))),
    };
    visit.answer(&form, answer)
}
