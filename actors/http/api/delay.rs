//! Delayed tasks: pages of them, one of them, and orders about it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Refused, body, id, limit, query, read, write};
use super::audit::next;
use crate::clock::now_ms;
use crate::config::parse_duration;
use crate::http::guard::Orderer;
use crate::http::routes::From;
use crate::operations::task_orders::{self, When, due};
use crate::store::browse::{self, Reach, TaskLine, TaskPlace, TasksAsked};
use crate::store::task_orders::{TaskOrdered, TaskRow, TaskStatus, TaskWish, status_word};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    status: Option<String>,
    name: Option<String>,
    exec_cmd: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Tasks {
    tasks: Vec<Line>,
    /// `after` of the next page; none behind the last one.
    next: Option<String>,
}

/// A task in a list, with the beginning of its texts.
#[derive(Serialize)]
struct Line {
    id: i64,
    name: String,
    exec_cmd: String,
    params: String,
    status: &'static str,
    result: String,
    due_ms: i64,
    owner: String,
    attempts: i32,
}

/// `second.id`.
fn place(text: &str) -> Option<TaskPlace> {
    let (second, id) = text.split_once('.')?;
    Some(TaskPlace {
        second: second.parse().ok()?,
        id: id.parse().ok()?,
    })
}

/// Those that wait, the next one first, where no status is asked for.
pub(super) async fn tasks(from: From, request: HttpRequest) -> Answer {
    let asked: Query = query(&request)?;
    let status = asked.status.as_deref().unwrap_or("waiting");
    let status = status_of(status).ok_or_else(|| {
        Refused::bad(format!(
            "`status` is `{status}`; it can be `waiting`, `running`, `done` or `failed`"
        ))
    })?;
    let after = match asked.after {
        None => None,
        Some(text) => {
            let wrong = || {
                Refused::bad(format!(
                    "`after` is `{text}`, which no answer has as `next`"
                ))
            };
            Some(place(&text).ok_or_else(wrong)?)
        }
    };
    let reach = Reach::page(limit(asked.limit)?);
    let asked = TasksAsked {
        name: asked.name,
        exec_cmd: asked.exec_cmd,
        after,
        ..TasksAsked::of(status)
    };
    let page = read(browse::tasks(from.config.db.reader(), asked, reach)).await?;
    let word = status_word(status.column()).unwrap_or_default();
    let line = |line: TaskLine| Line {
        id: line.id,
        name: line.name,
        exec_cmd: line.exec_cmd,
        params: line.params,
        status: word,
        result: line.result,
        due_ms: line.due_ms,
        owner: line.owner,
        attempts: line.attempts,
    };
    Ok(HttpResponse::Ok().json(Tasks {
        tasks: page.rows.into_iter().map(line).collect(),
        next: next(page.next).map(|place| format!("{}.{}", place.second, place.id)),
    }))
}

fn status_of(word: &str) -> Option<TaskStatus> {
    let each = [
        TaskStatus::Waiting,
        TaskStatus::Running,
        TaskStatus::Done,
        TaskStatus::Failed,
    ];
    each.into_iter()
        .find(|status| status_word(status.column()) == Some(word))
}

/// All columns, under the names that they have in the table.
#[derive(Serialize)]
struct Task {
    id: i64,
    name: String,
    exec_cmd: String,
    params: String,
    status: String,
    result: String,
    due_ms: i64,
    create_time: Option<String>,
    update_time: Option<String>,
    owner: String,
    fence: i64,
    attempts: i32,
}

impl std::convert::From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            exec_cmd: row.exec_cmd,
            params: row.params,
            status: status_word(row.status).map_or_else(|| row.status.to_string(), str::to_owned),
            result: row.result,
            due_ms: row.due_ms,
            create_time: row.create_time,
            update_time: row.update_time,
            owner: row.owner,
            fence: row.fence,
            attempts: row.attempts,
        }
    }
}

pub(super) async fn task(from: From, path: web::Path<String>) -> Answer {
    let id = id("delayed task", &path)?;
    let row = read(from.config.db.reader().task_rows(vec![id]))
        .await?
        .pop();
    let row = row.ok_or_else(|| Refused::unknown(format!("there is no delayed task {id}")))?;
    Ok(HttpResponse::Ok().json(Task::from(row)))
}

#[derive(Serialize)]
struct Ordered {
    ordered: &'static str,
    id: i64,
    /// Attempts that had failed before.
    attempts: i32,
    /// When it is due now, of an order to run.
    due_ms: Option<i64>,
}

pub(super) async fn cancel(from: From, path: web::Path<String>, orderer: Orderer) -> Answer {
    order(&from, &path, TaskWish::Cancel, orderer).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    /// A time, or unix seconds.
    at: Option<At>,
    /// After this time: `90s`, `2h`.
    #[serde(rename = "in")]
    wait: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum At {
    Seconds(i64),
    Text(String),
}

pub(super) async fn run(
    from: From,
    path: web::Path<String>,
    sent: web::Bytes,
    orderer: Orderer,
) -> Answer {
    let RunBody { at, wait } = body(&sent)?;
    let at = at.map(|at| match at {
        At::Seconds(seconds) => seconds.to_string(),
        At::Text(text) => text,
    });
    let wait: Option<Duration> = match wait {
        None => None,
        Some(text) => {
            Some(parse_duration(&text).map_err(|why| Refused::bad(format!("`in`: {why}")))?)
        }
    };
    let when = match (&at, wait) {
        (None, None) => When::Now,
        (Some(at), None) => When::At(at),
        (None, Some(wait)) => When::In(wait),
        (Some(_), Some(_)) => return Err(Refused::bad("`at` and `in` exclude each other")),
    };
    let (wish, _) = due(when, "at", now_ms()).map_err(Refused::bad)?;
    order(&from, &path, wish, orderer).await
}

async fn order(from: &From, path: &str, wish: TaskWish, orderer: Orderer) -> Answer {
    let id = id("delayed task", path)?;
    let (ordered, due_ms) = match &wish {
        TaskWish::Cancel => ("cancel", None),
        TaskWish::Due { at_ms, .. } => ("run", Some(*at_ms)),
    };
    let db = from.config.db.clone();
    let environment = from.config.state.identity.environment.clone();
    let given = async move { task_orders::give(&db, &environment, id, wish, orderer.who).await };
    let attempts = match write(&from.config, given).await? {
        TaskOrdered::Done { attempts } => attempts,
        TaskOrdered::Missing => {
            return Err(Refused::unknown(format!("there is no delayed task {id}")));
        }
        other => {
            let why = task_orders::refusal(id, &other);
            return Err(Refused::impossible(why));
        }
    };
    Ok(HttpResponse::Ok().json(Ordered {
        ordered,
        id,
        attempts,
        due_ms,
    }))
}
