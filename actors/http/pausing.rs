//! `POST …/pause` and `POST …/resume`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::HttpConfig;
use super::answers::refusal;
use super::guard::Orderer;
use super::ordering::{self, NotDone};
use super::routes::From;
use super::unknown::Named;
use crate::orders::{self, PauseKind, Target, Wish};
use crate::store::DbError;

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
        Err(not_done) => {
            let why = match not_done {
                NotDone::Failed(cause) => cause.to_string(),
                NotDone::Unanswered(why) => why.to_string(),
            };
            refusal(StatusCode::SERVICE_UNAVAILABLE, &why)
        }
    }
}

/// Answers whether something changed: false where it was so already.
pub(super) async fn give(
    config: &HttpConfig,
    kind: PauseKind,
    name: &str,
    wish: Wish,
    orderer: Orderer,
) -> Result<bool, NotDone<DbError>> {
    let target = Target {
        kind,
        name: name.to_owned(),
    };
    let (db, environment) = (config.db.clone(), config.state.identity.environment.clone());
    let order = async move { orders::give(&db, &environment, &target, wish, orderer.who).await };
    ordering::give(config, order).await
}
