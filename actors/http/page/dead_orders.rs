//! Replays and purges: of dead letters that are named, and of all that match.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use askama::Template;

use super::answer::Answer;
use super::dead::GroupFacts;
use super::dead_filter::Filter;
use super::format::count;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::visit::{Form, Visit};
use crate::delay_queue::params_refusal;
use crate::http::dead_letters::{DeadLetterJob, JobEnd, NewJob};
use crate::http::guard::Orderer;
use crate::http::ordering::{self, PATIENCE};
use crate::orders::dead::{Counted, Deed, Done, Edited, Meant, Rate};
use crate::store::DbError;

/// Dead letters of one order that names them: a page has no more.
const MOST_NAMED: usize = 1000;
/// Dead letters that stay and are named, each with its reason.
const MOST_REASONS: usize = 3;

#[derive(Template)]
#[template(path = "dead_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    t: Language,
    is_replay: bool,
    filter: Filter,
    /// The filter, for the form.
    hidden: Vec<(String, String)>,
    group: Option<GroupFacts>,
    /// How many dead letters are meant.
    dead_letters: Option<String>,
    has_dead_letters: bool,
    back: String,
    fault: Option<String>,
}

/// An order, as the page shows it.
pub(super) struct JobRow {
    pub(super) id: u64,
    pub(super) what: &'static str,
    pub(super) target: String,
    pub(super) who: String,
    pub(super) begun_ms: i64,
    pub(super) dead_letters: String,
    pub(super) stays: Option<String>,
    pub(super) state: String,
    pub(super) is_under_way: bool,
}

/// Asks whether as many are meant as there are.
pub(super) async fn confirm(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let filter = Filter::of(&visit).made_absolute();
    let is_replay = visit.get("do") != Some("purge");
    let (mut meant, mut fault) = (None, filter.fault.clone());
    if fault.is_none() {
        match counted(&visit, &filter).await {
            Ok(Ok(found)) => meant = Some(found),
            Ok(Err(why)) => fault = Some(why),
            Err(cause) => fault = Some(t.not_read(cause)),
        }
    }
    let mut frame = visit.frame(
        Tab::Dead,
        if is_replay {
            t.replay_all()
        } else {
            t.purge_all()
        },
    );
    frame.refresh = 0;
    let dead_letters = meant.as_ref().map(|(_, counted)| {
        let at_least = if counted.is_all { "" } else { "+" };
        format!("{}{at_least}", count(counted.dead_letters))
    });
    let group = meant.as_ref().and_then(|(meant, _)| meant.group.as_ref());
    let pairs = filter.pairs(&[]);
    visit.show(&ConfirmPage {
        frame,
        t,
        is_replay,
        group: group.map(|group| GroupFacts::of(t, group)),
        has_dead_letters: meant
            .as_ref()
            .is_some_and(|(_, n)| n.dead_letters > 0 || !n.is_all),
        dead_letters,
        back: format!("/dead{}", super::visit::query(&pairs)),
        hidden: pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        filter,
        fault,
    })
}

/// What the filter means, and how many those are; or why it means nothing.
async fn counted(
    visit: &Visit,
    filter: &Filter,
) -> Result<Result<(Meant, Counted), String>, DbError> {
    let meant = match meant(visit, filter).await? {
        Ok(meant) => meant,
        Err(why) => return Ok(Err(why)),
    };
    let counted = meant.count(visit.config.db.reader()).await?;
    Ok(Ok((meant, counted)))
}

async fn meant(visit: &Visit, filter: &Filter) -> Result<Result<Meant, String>, DbError> {
    if filter.needs_each_row() {
        return Ok(Err(visit.t.no_order_by_payload().to_owned()));
    }
    let meant = Meant {
        filter: filter.dead_letters.clone(),
        ..Meant::default()
    };
    let reader = visit.config.db.reader();
    let meant = meant.with_group(reader, filter.group.clone()).await?;
    Ok(meant.map_err(|_| visit.t.group_is_gone().to_owned()))
}

/// All that match, at a rate.
pub(super) async fn all(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let answer = order_all(&visit, &form, orderer).await;
    visit.answer(&form, answer.unwrap_or_else(Answer::failed))
}

async fn order_all(visit: &Visit, form: &Form, orderer: Orderer) -> Result<Answer, String> {
    let t = visit.t;
    let filter = Filter::of_form(t, form);
    if let Some(fault) = filter.fault {
        return Err(fault);
    }
    let rate = match form.get("rate").trim() {
        "" => None,
        text => Some(text.parse::<Rate>().map_err(|_| t.wrong_rate(text))?),
    };
    let deed = deed(visit, form)?;
    let meant = meant(visit, &filter)
        .await
        .map_err(|cause| t.not_read(cause))??;
    let job = begin(visit, meant, deed, rate, orderer).await?;
    // An order that is done at once is answered at once.
    match job.wait(Duration::from_millis(500)).await {
        Some((done, end)) => Ok(said(t, &done, &end)),
        None => Ok(Answer::done(t.order_is_under_way().to_owned())),
    }
}

/// The dead letters that are named, or ticked.
pub(super) async fn named(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let answer = order_named(&visit, &form, orderer).await;
    visit.answer(&form, answer.unwrap_or_else(Answer::failed))
}

async fn order_named(visit: &Visit, form: &Form, orderer: Orderer) -> Result<Answer, String> {
    let t = visit.t;
    let ids: Vec<i64> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    let most = if form.get("do") == "edit" {
        1
    } else {
        MOST_NAMED
    };
    if ids.is_empty() || ids.len() > most {
        return Err(t.tick_some().to_owned());
    }
    let deed = deed(visit, form)?;
    let meant = Meant {
        ids,
        ..Meant::default()
    };
    let job = begin(visit, meant, deed, None, orderer).await?;
    // One that takes longer is watched on the page.
    match job.wait(PATIENCE).await {
        Some((done, end)) => Ok(said(t, &done, &end)),
        None => Ok(Answer::done(t.order_is_under_way().to_owned())),
    }
}

fn deed(visit: &Visit, form: &Form) -> Result<Deed, String> {
    let replay = |edited| Deed::Replay {
        targets: Arc::clone(&visit.config.targets),
        edited,
    };
    match form.get("do") {
        "purge" => Ok(Deed::Purge),
        "replay" => Ok(replay(None)),
        // A form without scripts sends the ends of lines as two characters.
        "edit" => {
            let text = form.get("payload").replace("\r\n", "\n");
            Ok(replay(Some(Edited::new(
                text.into_bytes().into(),
                params_refusal,
            ))))
        }
        _ => Err(visit.t.unknown_order().to_owned()),
    }
}

async fn begin(
    visit: &Visit,
    meant: Meant,
    deed: Deed,
    rate: Option<Rate>,
    orderer: Orderer,
) -> Result<Arc<DeadLetterJob>, String> {
    let answered = ordering::ask_first(&visit.config).await;
    answered.map_err(|why| visit.t.unanswered(why))?;
    let new = NewJob {
        environment: visit.config.state.identity.environment.clone(),
        ordered_by: orderer.who,
        meant,
        deed,
        rate,
    };
    let begun = visit.config.dead_letters.begin(&visit.config.db, new);
    begun.ok_or_else(|| visit.t.too_many_orders().to_owned())
}

/// Ends an order about all that match.
pub(super) async fn stop(visit: Visit, form: Form, _: Orderer) -> HttpResponse {
    let id = form.get("id").parse().unwrap_or(0);
    let answer = match visit.config.dead_letters.stop(id) {
        true => Answer::done(visit.t.order_is_stopped().to_owned()),
        false => Answer::failed(visit.t.order_has_ended().to_owned()),
    };
    visit.answer(&form, answer)
}

/// What came of an order, in one sentence for each thing.
fn said(t: Language, done: &Done, end: &JobEnd) -> Answer {
    let mut said = Vec::new();
    for (place, n) in &done.replayed {
        said.push(t.run_again_in(count(*n), place));
    }
    if done.deleted > 0 {
        said.push(t.are_purged(count(done.deleted)));
    }
    if done.gone > 0 {
        said.push(t.were_done_by_others(count(done.gone)));
    }
    let is_well = end.cause.is_none() && done.refused == 0 && done.missing.is_empty();
    said.extend(stays(t, done));
    if let Some(cause) = &end.cause {
        said.push(t.not_read(cause));
    }
    if said.is_empty() {
        said.push(t.no_dead_letter_was_meant().to_owned());
    }
    let text = said.join(" ");
    match is_well && done.dead_letters() > 0 {
        true => Answer::done(text),
        false => Answer::failed(text),
    }
}

/// Dead letters that stay, and why.
fn stays(t: Language, done: &Done) -> Option<String> {
    let mut said: Vec<String> = Vec::new();
    let reasons = done.reasons.iter().take(MOST_REASONS);
    said.extend(reasons.map(|stays| t.dead_letter_stays(stays.id, &stays.reason)));
    let missing = done.missing.iter().take(MOST_REASONS);
    said.extend(missing.map(|id| t.dead_letter_is_gone(id)));
    let all = done.refused + u64::try_from(done.missing.len()).unwrap_or(0);
    let more = all.saturating_sub(u64::try_from(said.len()).unwrap_or(0));
    if more > 0 {
        said.push(t.and_more(count(more)));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

impl Visit {
    /// The last orders of this daemon, those under way first.
    pub(super) fn dead_letter_jobs(&self) -> Vec<JobRow> {
        let t = self.t;
        let mut jobs: Vec<JobRow> = self
            .config
            .dead_letters
            .list()
            .iter()
            .map(|job| row(t, job))
            .collect();
        jobs.sort_by_key(|job| !job.is_under_way);
        jobs
    }
}

fn row(t: Language, job: &DeadLetterJob) -> JobRow {
    let (done, end) = (job.watch.done(), job.end());
    JobRow {
        id: job.id,
        what: if job.is_replay { t.replay() } else { t.purge() },
        target: t.audit_target(&job.target),
        who: job.ordered_by.clone(),
        begun_ms: job.begun_ms,
        dead_letters: count(done.dead_letters()),
        stays: stays(t, &done),
        is_under_way: end.is_none(),
        state: match (end, job.watch.is_stopped()) {
            (None, false) => t.under_way().to_owned(),
            (None, true) => t.is_being_stopped().to_owned(),
            (
                Some(JobEnd {
                    cause: Some(cause), ..
                }),
                _,
            ) => cause,
            (Some(_), true) => t.was_stopped().to_owned(),
            (Some(_), false) => t.task_done().to_owned(),
        },
    }
}
