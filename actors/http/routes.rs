//! The routes. `openapi.json` describes them, and a test holds the two together.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::HttpConfig;
use super::answers::refusal;
use super::guard::{Orderer, Pass};
use super::metrics;
use super::pausing::{self, Pause, Resume, everything};
use super::ready::{Readiness, readiness};
use super::unknown::Named;
use super::wrong::{Wrong, wrong};
use crate::clock::{millis, now_ms};
use crate::membership::partition_of;
use crate::reload::{Origin, Outcome};
use crate::state::view::{CronView, DelayView, OutageView, PauseView, QueueView};
use crate::state::{Identity, outages};
use crate::stop::StopListener;

/// The description of this interface.
const OPENAPI: &str = include_str!("openapi.json");
/// The Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every route answers from.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) config: Arc<HttpConfig>,
    pub(super) stop: StopListener,
}

pub(super) type From = web::Data<Asked>;

pub(super) fn add(routes: &mut web::ServiceConfig) {
    routes
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics))
        .route("/api/v1/openapi.json", web::get().to(openapi))
        .route("/api/v1/state", web::get().to(state))
        .route("/api/v1/queues", web::get().to(queues))
        .route("/api/v1/queues/{name}", web::get().to(queue))
        .route(
            "/api/v1/queues/{name}/history",
            web::get().to(queue_history),
        )
        .route("/api/v1/queues/{name}/lag-check", web::post().to(check_lag))
        .route("/api/v1/cron", web::get().to(cron))
        .route("/api/v1/cron/{key}", web::get().to(cron_entry))
        .route("/api/v1/cron/{key}/history", web::get().to(cron_history))
        .route("/api/v1/delay", web::get().to(delay))
        .route("/api/v1/delay/history", web::get().to(delay_history))
        .route("/api/v1/reload", web::post().to(reload))
        .route("/api/v1/outages", web::get().to(list_outages))
        .route("/api/v1/daemons", web::get().to(daemons))
        .route("/api/v1/pause", web::post().to(everything::<Pause>))
        .route("/api/v1/resume", web::post().to(everything::<Resume>))
        .route(
            "/api/v1/queues/{name}/pause",
            web::post().to(pausing::queue::<Pause>),
        )
        .route(
            "/api/v1/queues/{name}/resume",
            web::post().to(pausing::queue::<Resume>),
        )
        .route(
            "/api/v1/cron/{key}/pause",
            web::post().to(pausing::cron_entry::<Pause>),
        )
        .route(
            "/api/v1/cron/{key}/resume",
            web::post().to(pausing::cron_entry::<Resume>),
        )
        .route(
            "/api/v1/delay/pause",
            web::post().to(pausing::delay::<Pause>),
        )
        .route(
            "/api/v1/delay/resume",
            web::post().to(pausing::delay::<Resume>),
        );
}

pub(super) async fn nothing_here() -> HttpResponse {
    refusal(
        StatusCode::NOT_FOUND,
        "there is nothing here; /api/v1/openapi.json lists what there is",
    )
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(from: From, pass: web::ReqData<Pass>) -> HttpResponse {
    let mut readiness = readiness(&from.config, &from.stop).await;
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    // Errors of servers name addresses and users.
    if *pass == Pass::Probe {
        readiness.missing.clear();
    }
    HttpResponse::build(status).json(readiness)
}

async fn metrics(from: From) -> HttpResponse {
    match metrics::text(&from.config) {
        Ok(text) => HttpResponse::Ok().content_type(METRICS_TYPE).body(text),
        Err(_) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written",
        ),
    }
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::json())
        .body(OPENAPI)
}

/// Everything at once.
#[derive(Serialize)]
struct WholeState<'a> {
    daemon: &'a Identity,
    now_ms: i64,
    readiness: Readiness,
    wrong: Vec<Wrong>,
    queues: Vec<QueueView>,
    cron: Vec<CronView>,
    delay: DelayView,
    /// Counted up to 100,001; none before the first count, and where the last one failed.
    dead_letters: Option<u64>,
    pending_writes: usize,
    pauses: Vec<PauseView>,
    outages: Vec<OutageView>,
}

async fn state(from: From) -> HttpResponse {
    let config = &from.config;
    let readiness = readiness(config, &from.stop).await;
    let state = &config.state;
    let now_ms = now_ms();
    HttpResponse::Ok().json(WholeState {
        daemon: &state.identity,
        now_ms,
        wrong: wrong(state, &readiness.missing, now_ms),
        readiness,
        queues: all_queues(config),
        cron: all_entries(config),
        delay: state.delay.view(),
        dead_letters: *state.dead_letters.lock(),
        pending_writes: config.db.pending(),
        pauses: state.pauses.lock().clone(),
        outages: outages().list(),
    })
}

fn all_queues(config: &HttpConfig) -> Vec<QueueView> {
    let queues = config.state.queues();
    queues.iter().map(|queue| queue.view()).collect()
}

fn all_entries(config: &HttpConfig) -> Vec<CronView> {
    let entries = config.state.cron();
    entries.iter().map(|entry| entry.view()).collect()
}

async fn queues(from: From) -> HttpResponse {
    HttpResponse::Ok().json(all_queues(&from.config))
}

async fn queue(from: From, name: web::Path<String>) -> HttpResponse {
    match from.config.state.queue(&name) {
        Some(queue) => HttpResponse::Ok().json(queue.view()),
        None => Named::Queue.not_found(&from.config, &name),
    }
}

async fn queue_history(from: From, name: web::Path<String>) -> HttpResponse {
    match from.config.state.queue_history(&name) {
        Some(history) => HttpResponse::Ok().json(history),
        None => Named::Queue.not_found(&from.config, &name),
    }
}

/// What an order answers.
#[derive(Serialize)]
struct Ordered {
    ordered: &'static str,
}

async fn check_lag(from: From, name: web::Path<String>, orderer: Orderer) -> HttpResponse {
    let config = &from.config;
    if config.state.queue(&name).is_none() {
        return Named::Queue.not_found(&from.config, &name);
    }
    if !config.pools.check_lag(&name) {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "the pool of this queue is being started; try again in a moment",
        );
    }
    log::info!("queue `{name}`: LagCheck, ordered by {}", orderer.who);
    HttpResponse::Accepted().json(Ordered {
        ordered: "lag-check",
    })
}

/// The answer is the whole report: an order whose files are faulty has changed nothing.
async fn reload(from: From, orderer: Orderer) -> HttpResponse {
    let reloads = &from.config.reloads;
    let Some(report) = reloads.order(Origin::Person(orderer.who)).await else {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "this daemon is being started or stopped; it reads the files at each start",
        );
    };
    let status = match report.outcome {
        Outcome::Applied | Outcome::Unchanged => StatusCode::OK,
        Outcome::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpResponse::build(status).json(report)
}

async fn cron(from: From) -> HttpResponse {
    HttpResponse::Ok().json(all_entries(&from.config))
}

async fn cron_entry(from: From, key: web::Path<String>) -> HttpResponse {
    match from.config.state.cron_entry(&key) {
        Some(entry) => HttpResponse::Ok().json(entry.view()),
        None => Named::Cron.not_found(&from.config, &key),
    }
}

async fn cron_history(from: From, key: web::Path<String>) -> HttpResponse {
    match from.config.state.cron_history(&key) {
        Some(history) => HttpResponse::Ok().json(history),
        None => Named::Cron.not_found(&from.config, &key),
    }
}

async fn delay(from: From) -> HttpResponse {
    HttpResponse::Ok().json(from.config.state.delay.view())
}

async fn delay_history(from: From) -> HttpResponse {
    HttpResponse::Ok().json(from.config.state.delay_history())
}

async fn list_outages() -> HttpResponse {
    HttpResponse::Ok().json(outages().list())
}

/// A daemon that shares the tables.
#[derive(Serialize)]
struct DaemonView {
    partition: String,
    boot: String,
    host: String,
    pid: i32,
    /// By the database's clock.
    started_ms: i64,
    last_heartbeat_ms_ago: i64,
    /// None: a daemon of a version that did not write it.
    version: Option<String>,
}

async fn daemons(from: From) -> HttpResponse {
    let (boots, ago) = match from.config.database.boots().await {
        Ok(found) => found,
        Err(cause) => return refusal(StatusCode::SERVICE_UNAVAILABLE, &cause.to_string()),
    };
    let ago_ms = millis(ago);
    let boots = boots.iter().map(|boot| DaemonView {
        partition: partition_of(&boot.owner).to_owned(),
        boot: boot
            .owner
            .split('/')
            .next_back()
            .unwrap_or_default()
            .to_owned(),
        host: boot.host.clone(),
        pid: boot.pid,
        started_ms: boot.started_ms,
        last_heartbeat_ms_ago: boot.silent_ms.saturating_add(ago_ms),
        version: boot.version.clone(),
    });
    HttpResponse::Ok().json(boots.collect::<Vec<_>>())
}
