//! Orders about dead letters that this daemon carries out: how far each is, and its stop.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::answer::{Answer, Refused};
use crate::http::dead_letters::DeadLetterJob;
use crate::http::guard::Orderer;
use crate::http::routes::From;
use crate::orders::dead::Stays;

/// An order as its row on the page, in JSON.
#[derive(Serialize)]
pub(super) struct Progress {
    id: u64,
    ordered: &'static str,
    /// The dead letters, for people.
    meant: String,
    ordered_by: String,
    begun_ms: i64,
    ended_ms: Option<i64>,
    state: &'static str,
    /// Dead letters that were replayed or deleted so far.
    count: u64,
    /// Of those, by where they run.
    replayed: BTreeMap<String, u64>,
    /// Dead letters that another order has replayed or deleted at the same time.
    gone: u64,
    /// Dead letters that cannot run here.
    refused: u64,
    /// The first of the refused.
    reasons: Vec<Reason>,
    /// Ids that were named and not found.
    missing: Vec<i64>,
    /// Why the order has ended before its last dead letter.
    error: Option<String>,
}

#[derive(Serialize)]
struct Reason {
    id: i64,
    name: String,
    reason: String,
}

impl std::convert::From<Stays> for Reason {
    fn from(stays: Stays) -> Self {
        let Stays { id, name, reason } = stays;
        Self { id, name, reason }
    }
}

impl Progress {
    pub(super) fn of(job: &DeadLetterJob) -> Self {
        // The end is read first: what is done is final then.
        let end = job.end();
        let (done, is_stopped) = (job.watch.done(), job.watch.is_stopped());
        let error = end.as_ref().and_then(|end| end.cause.clone());
        Self {
            id: job.id,
            ordered: if job.is_replay { "replay" } else { "purge" },
            meant: job.target.clone(),
            ordered_by: job.ordered_by.clone(),
            begun_ms: job.begun_ms,
            ended_ms: end.as_ref().map(|end| end.at_ms),
            state: match (&end, is_stopped) {
                (None, false) => "running",
                (None, true) => "stopping",
                (Some(_), _) if error.is_some() => "failed",
                (Some(_), true) => "stopped",
                (Some(_), false) => "done",
            },
            count: done.dead_letters(),
            replayed: done.replayed,
            gone: done.gone,
            refused: done.refused,
            reasons: done.reasons.into_iter().map(Reason::from).collect(),
            missing: done.missing,
            error,
        }
    }
}

/// The newest first, as many as the daemon remembers.
pub(super) async fn list(from: From) -> HttpResponse {
    let jobs = from.config.dead_letters.list();
    let jobs: Vec<Progress> = jobs.iter().map(|job| Progress::of(job)).collect();
    HttpResponse::Ok().json(jobs)
}

fn found(from: &From, order: &str) -> Result<Progress, Refused> {
    let jobs = from.config.dead_letters.list();
    let job = jobs.iter().find(|job| job.id.to_string() == order);
    let job = job.ok_or_else(|| {
        Refused::unknown(format!(
            "there is no order `{order}` about dead letters in this daemon: it remembers the last 20 since its start; \
             `/api/v1/audit` has all"
        ))
    })?;
    Ok(Progress::of(job))
}

pub(super) async fn one(from: From, order: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(found(&from, &order)?))
}

/// The portion that is under way is the last one.
pub(super) async fn stop(from: From, order: web::Path<String>, orderer: Orderer) -> Answer {
    let id = found(&from, &order)?.id;
    if !from.config.dead_letters.stop(id) {
        return Err(Refused::impossible(format!(
            "order {id} has ended already; nothing changed"
        )));
    }
    log::info!(
        "dead letters: order {id} is stopped, by order of {}",
        orderer.who
    );
    Ok(HttpResponse::Accepted().json(found(&from, &order)?))
}
