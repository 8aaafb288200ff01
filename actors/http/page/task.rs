//! One delayed task: its row, what this daemon saw of its attempts, its dead letter, and who ordered what about it.

use std::convert::Infallible;

use actix_web::HttpResponse;
use askama::Template;
use futures_util::future::join_all;

use super::answer::Answer;
use super::audit::AuditRow;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::payload::{Payload, SHOWN_BYTES, cut, in_line};
use super::visit::{Form, Visit};
use crate::clock::{millis, now_ms};
use crate::config::parse_duration;
use crate::delay_queue::LAST_SECOND;
use crate::http::guard::Orderer;
use crate::http::ordering;
use crate::moment::shown;
use crate::operations::task_orders;
use crate::state::view::FailureView;
use crate::store::DbError;
use crate::store::browse::{self, AuditAsked, DeadLettersAsked, Next, Reach};
use crate::store::columns::{FAILED, RUNNING, WAITING};
use crate::store::dead_letter::KIND_DELAY;
use crate::store::rows::DeadLetterFilter;
use crate::store::task_orders::{TaskOrdered, TaskRow, TaskWish};

/// Tasks of one order: a page has no more.
const MOST_TASKS: usize = 1000;
/// Rows about one task.
const MOST_ROWS: u32 = 20;

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    t: Language,
    row: TaskRow,
    name: String,
    exec_cmd: String,
    result: String,
    state: String,
    waits: bool,
    runs: bool,
    is_failed: bool,
    due: String,
    params: Payload,
    links: Vec<(&'static str, String, bool)>,
    failures: Vec<FailureView>,
    dead_letter: Option<(i64, String)>,
    /// Dead letters were left out of the scan.
    dead_letter_is_unknown: bool,
    audits: Vec<AuditRow>,
    audits_are_cut: bool,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let asked = visit.get("id").unwrap_or_default();
    let Ok(id) = asked.parse::<i64>() else {
        return visit.missing(Tab::Delay, asked);
    };
    match story(&visit, id).await {
        Ok(Some(page)) => visit.show(&page),
        Ok(None) => visit.missing(Tab::Delay, &t.task_named(id)),
        Err(cause) => visit.fault(Tab::Delay, &cause),
    }
}

async fn story(visit: &Visit, id: i64) -> Result<Option<TaskPage>, DbError> {
    let (t, now) = (visit.t, now_ms());
    let reader = visit.config.db.reader();
    let Some(row) = reader.task_rows(vec![id]).await?.pop() else {
        return Ok(None);
    };
    let (dead_letter, dead_letter_is_unknown) = match row.status {
        FAILED => dead_letter(visit, id).await?,
        _ => (None, false),
    };
    let asked = AuditAsked {
        text: Some(task_target(id)),
        ..AuditAsked::of(&visit.config.state.identity.environment)
    };
    // `delayed task 17` begins as `delayed task 170` does.
    let (its, with) = (task_target(id), format!("{}, ", task_target(id)));
    let keeps = |line: &browse::AuditLine| line.target == its || line.target.starts_with(&with);
    let audits = browse::audits(reader, asked, keeps, Reach::page(MOST_ROWS)).await?;
    let params = row.params.as_bytes();
    let (shown, all) = (params.len().min(SHOWN_BYTES as usize), params.len() as u64);
    let params = Payload::new(&params[..shown], all, visit.get("as"));
    let mut failures = visit.config.state.delay.view().failures;
    failures.retain(|failure| failure.id == id.to_string());
    Ok(Some(TaskPage {
        frame: visit.frame(Tab::Delay, &t.task_named(id)),
        t,
        name: in_line(row.name.as_bytes()),
        exec_cmd: in_line(row.exec_cmd.as_bytes()),
        result: cut(&row.result),
        state: visit.state_of(&row),
        waits: row.status == WAITING,
        runs: row.status == RUNNING,
        is_failed: row.status == FAILED,
        due: match row.due_ms > now {
            true => t.until(row.due_ms, now),
            false => t.ago(row.due_ms, now),
        },
        links: visit.forms_of(&params),
        params,
        failures,
        dead_letter: dead_letter.map(|id| (id, visit.link("/letter", &[("id", &id.to_string())]))),
        dead_letter_is_unknown,
        audits: audits
            .rows
            .into_iter()
            .map(|line| AuditRow::of(t, line))
            .collect(),
        audits_are_cut: audits.next != Next::End,
        row,
    }))
}

/// As `audit.target` has it.
fn task_target(id: i64) -> String {
    format!("delayed task {id}")
}

/// The newest dead letter that the task left, as far as the scan goes; and whether it went to the end.
async fn dead_letter(visit: &Visit, id: i64) -> Result<(Option<i64>, bool), DbError> {
    let asked = DeadLettersAsked {
        filter: DeadLetterFilter {
            kind: Some(KIND_DELAY.to_owned()),
            ..DeadLetterFilter::default()
        },
        original_id: Some(id.to_string()),
        ..DeadLettersAsked::default()
    };
    let page =
        browse::dead_letters(visit.config.db.reader(), asked, |_| true, Reach::page(1)).await?;
    let found = page.rows.first().map(|line| line.head.id);
    Ok((found, found.is_none() && page.next != Next::End))
}

impl Visit {
    fn state_of(&self, row: &TaskRow) -> String {
        use crate::store::task_orders::TaskStatus::{Done, Failed, Running, Waiting};
        let each = [Waiting, Running, Done, Failed];
        let found = each
            .into_iter()
            .find(|status| status.column() == row.status);
        let word = found.map_or_else(
            || row.status.to_string(),
            |status| self.t.task_status(status).to_owned(),
        );
        match (row.status, row.owner.as_str()) {
            (RUNNING, "") => self.t.runs_in_go().to_owned(),
            (RUNNING, owner) => self.t.runs_on(owner),
            _ => word,
        }
    }

    /// The forms of a payload with their links, and which of them is shown.
    pub(super) fn forms_of(&self, payload: &Payload) -> Vec<(&'static str, String, bool)> {
        let link = |form: &super::payload::Form| {
            let here = self.with(&[("as", form.name())]);
            let label = match form {
                super::payload::Form::Text => self.t.as_text(),
                super::payload::Form::Json => "JSON",
                super::payload::Form::Hex => self.t.as_hex(),
            };
            (
                label,
                format!("{}{here}", self.place.base),
                *form == payload.form,
            )
        };
        payload.forms.iter().map(link).collect()
    }
}

/// `now`, `later` or `cancel` of the tasks that are ticked.
pub(super) async fn order(visit: Visit, form: Form, orderer: Orderer) -> HttpResponse {
    let answer = match wish(visit.t, &form) {
        Ok((wish, done)) => give(&visit, &form, &wish, &done, orderer).await,
        Err(why) => Answer::failed(why),
    };
    visit.answer(&form, answer)
}

/// What is ordered, and what to say of a task of which it holds.
fn wish(t: Language, form: &Form) -> Result<(TaskWish, String), String> {
    let due = |at_ms: i64, when: String| TaskWish::Due { at_ms, shown: when };
    match form.get("do") {
        "cancel" => Ok((TaskWish::Cancel, t.are_cancelled().to_owned())),
        "run" => Ok((due(now_ms(), "now".to_owned()), t.are_due_now().to_owned())),
        "later" => {
            let text = form.get("in").trim();
            let wait = parse_duration(text).map_err(|_| t.wrong_duration(text))?;
            let at_ms = now_ms().saturating_add(millis(wait));
            if at_ms.div_euclid(1000) > LAST_SECOND {
                return Err(t.too_late(LAST_SECOND));
            }
            let when = format!("at {}", shown(at_ms));
            Ok((due(at_ms, when), t.are_due_in(text)))
        }
        _ => Err(t.unknown_order().to_owned()),
    }
}

/// Each order is a transaction of its own, or shares one whole, with its row of `audit`.
async fn give(visit: &Visit, form: &Form, wish: &TaskWish, done: &str, orderer: Orderer) -> Answer {
    let t = visit.t;
    let mut ids: Vec<i64> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > MOST_TASKS {
        return Answer::failed(t.tick_some().to_owned());
    }
    let db = visit.config.db.clone();
    let environment = visit.config.state.identity.environment.clone();
    let (wish, tasks) = (wish.clone(), ids.clone());
    let given = async move {
        let who = orderer.who;
        let give = |id: &i64| task_orders::give(&db, &environment, *id, wish.clone(), who.clone());
        Ok::<_, Infallible>(join_all(tasks.iter().map(give)).await)
    };
    let answers = match ordering::give(&visit.config, given).await {
        Ok(answers) => answers,
        Err(not_done) => return t.not_done(not_done, |never| match never {}),
    };
    let mut held = 0_usize;
    let mut refused = Vec::new();
    for (id, ordered) in ids.iter().zip(answers) {
        match ordered {
            Ok(TaskOrdered::Done { .. }) => held += 1,
            Ok(other) => refused.push(t.task_stays(id, t.ordered(&other))),
            Err(cause) => refused.push(t.task_stays(id, cause)),
        }
    }
    let said = t.tasks_ordered(held, done);
    if refused.is_empty() {
        return Answer::done(said);
    }
    let more = refused.len().saturating_sub(3);
    refused.truncate(3);
    if more > 0 {
        refused.push(t.and_more(more));
    }
    Answer::failed(format!("{said} {}", refused.join(" ")))
}

impl Language {
    fn ordered(self, ordered: &TaskOrdered) -> String {
        match ordered {
            TaskOrdered::Done { .. } => self.task_done().to_owned(),
            TaskOrdered::Missing => self.is_no_task().to_owned(),
            TaskOrdered::Claimed { owner: Some(owner) } => self.runs_on(owner),
            TaskOrdered::Claimed { owner: None } => self.runs_in_go().to_owned(),
            TaskOrdered::Ended => self.is_done_already().to_owned(),
            TaskOrdered::Failed => self.is_failed_already().to_owned(),
            TaskOrdered::Unknown { status } => self.has_status(status),
        }
    }
}
