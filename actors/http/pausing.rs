//! `POST …/pause` and `POST …/resume`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;

use super::HttpConfig;
use super::answers::{refusal, unknown};
use super::unknown::Named;
use super::guard::Orderer;
use super::routes::From;
use crate::orders::{self, PauseKind, Target, Wish};
use crate::store::DbError;

/// The answer comes within this time: the order's commit, or that the database is slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the last segment of the path orders.
pub(super) trait Verb {
    const WISH: Wish;
    const NAME: &str;
}

pub(super) struct Pause;

impl Verb for Pause {
    const WISH: Wish = Wish::Paused;
    const NAME: &str = "pause";
}

pub(super) struct Resume;

impl Verb for Resume {
    const WISH: Wish = Wish::Resumed;
    const NAME: &str = "resume";
}

#[derive(Serialize)]
struct Ordered {
    ordered: &'static str,
    /// False where it was so already.
    changed: bool,
}

pub(super) async fn everything<V: Verb>(from: From, orderer: Orderer) -> HttpResponse {
    order::<V>(&from.config, PauseKind::All, "", orderer).await
}

pub(super) async fn delay<V: Verb>(from: From, orderer: Orderer) -> HttpResponse {
    order::<V>(&from.config, PauseKind::Delay, "", orderer).await
}

pub(super) async fn queue<V: Verb>(
    from: From,
    name: web::Path<String>,
    orderer: Orderer,
) -> HttpResponse {
    if from.config.state.queue(&name).is_none() {
        return Named::Queue.not_found(&from.config, &name);
    }
    order::<V>(&from.config, PauseKind::Queue, &name, orderer).await
}

/// Pauses are by name: other entries of the same name rest as well.
pub(super) async fn cron_entry<V: Verb>(
    from: From,
    key: web::Path<String>,
    orderer: Orderer,
) -> HttpResponse {
    match from.config.state.cron_entry(&key) {
        Some(entry) => {
            let name = &entry.facts().name;
            order::<V>(&from.config, PauseKind::Cron, name, orderer).await
        }
        None => Named::Cron.not_found(&from.config, &key),
    }
}

async fn order<V: Verb>(
    config: &HttpConfig,
    kind: PauseKind,
    name: &str,
    orderer: Orderer,
) -> HttpResponse {
    match give(config, kind, name, V::WISH, orderer).await {
        Ok(changed) => HttpResponse::Ok().json(Ordered {
            ordered: V::NAME,
            changed,
        }),
        Err(cause) => refusal(StatusCode::SERVICE_UNAVAILABLE, &cause.to_string()),
    }
}

/// Why it is not known that an order holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGiven {
    #[error("{0}")]
    Refused(DbError),
    /// DbActor has it, and writes it when the database is back.
    #[error(
        "the database has not answered within 5 seconds; the order waits for it, and holds once it is written"
    )]
    Slow,
}

/// Answers whether something changed: false where it was so already.
pub(super) async fn give(
    config: &HttpConfig,
    kind: PauseKind,
    name: &str,
    wish: Wish,
    orderer: Orderer,
) -> Result<bool, NotGiven> {
    let target = Target {
        kind,
        name: name.to_owned(),
    };
    let environment = &config.state.identity.environment;
    let given = orders::give(&config.db, environment, &target, wish, orderer.who);
    match timeout(PATIENCE, given).await {
        Ok(given) => given.map_err(NotGiven::Refused),
        Err(_) => Err(NotGiven::Slow),
    }
}
