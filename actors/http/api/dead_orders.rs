//! Dead letters run again or are deleted: one by its id, or all that match.
//!
//! An order about one dead letter is answered after its commit. Dead letters that match are counted first: without
//! `"confirm": true` nothing changes, and the count is the answer. A confirmed order goes to the orders that the page
//! shows too (`dead_letters.rs`): it outlives its request, and the answer shows how far it is (`dead_progress.rs`).

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Refused, ask_first, body, id, read, write};
use super::dead::{Filter, with_group};
use super::dead_progress::Progress;
use super::shown::Shown;
use crate::delay_queue::params_refusal;
use crate::http::dead_letters::NewJob;
use crate::http::guard::Orderer;
use crate::http::routes::From;
use crate::orders::dead::{Deed, Done, Edited, Meant, Rate, Watch, carry_out};
use crate::store::DbError;
use crate::store::rows::{DeadLetterFilter, DeadLetterOrder};

/// An order that ends within this time is answered with its end.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    /// Replaces the payload of the dead letter.
    payload: Option<Shown>,
}

#[derive(Serialize)]
struct OneOrdered {
    ordered: &'static str,
    id: i64,
    /// Where it runs again.
    to: Option<String>,
}

fn replay_deed(from: &From, edited: Option<Edited>) -> Deed {
    Deed::Replay {
        targets: Arc::clone(&from.config.targets),
        edited,
    }
}

pub(super) async fn replay(
    from: From,
    path: web::Path<String>,
    sent: web::Bytes,
    orderer: Orderer,
) -> Answer {
    let id = id("dead letter", &path)?;
    let ReplayBody { payload } = body(&sent)?;
    let payload = payload.map(Shown::bytes).transpose();
    let payload = payload.map_err(|why| Refused::bad(format!("`payload`: {why}")))?;
    let edited = payload.map(|bytes| Edited::new(bytes, params_refusal));
    let deed = replay_deed(&from, edited);
    let mut done = order_one(&from, id, deed, orderer).await?;
    match (done.replayed.into_keys().next(), done.reasons.pop()) {
        (Some(to), _) => Ok(HttpResponse::Ok().json(OneOrdered {
            ordered: "replay",
            id,
            to: Some(to),
        })),
        (None, Some(stays)) => Err(Refused::impossible(stays.reason)),
        (None, None) => Err(Refused::impossible(format!(
            "dead letter {id} does not run again: another order has replayed or deleted it meanwhile, or only the beginning of \
             its payload is kept, and it needs another payload"
        ))),
    }
}

pub(super) async fn purge(from: From, path: web::Path<String>, orderer: Orderer) -> Answer {
    let id = id("dead letter", &path)?;
    let done = order_one(&from, id, Deed::Purge, orderer).await?;
    if done.deleted == 0 {
        return Err(unknown(id));
    }
    Ok(HttpResponse::Ok().json(OneOrdered {
        ordered: "purge",
        id,
        to: None,
    }))
}

fn unknown(id: i64) -> Refused {
    Refused::unknown(format!("there is no dead letter {id}"))
}

/// Carried out here and not among the orders of the daemon: one transaction needs no progress and no stop, and a
/// program that goes through thousands of dead letters one by one would drive the orders of people out of their list.
async fn order_one(from: &From, id: i64, deed: Deed, orderer: Orderer) -> Result<Done, Refused> {
    let meant = Meant {
        ids: vec![id],
        ..Meant::default()
    };
    let order = DeadLetterOrder {
        environment: from.config.state.identity.environment.clone(),
        ordered_by: orderer.who.clone(),
        target: meant.describe(None),
        row: None,
        before: 0,
    };
    let db = from.config.db.clone();
    let order = async move {
        let watch = Watch::default();
        carry_out(&db, &meant, &deed, None, order, &watch).await?;
        let done = watch.done();
        // Here, so that an order whose caller waits no longer is a line too.
        for to in done.replayed.keys() {
            log::info!(
                "dead letter {id} runs again: {to}, by order of {}",
                orderer.who
            );
        }
        if done.deleted > 0 {
            log::info!("dead letter {id} is deleted, by order of {}", orderer.who);
        }
        Ok::<_, DbError>(done)
    };
    let done = write(&from.config, order).await?;
    if !done.missing.is_empty() {
        return Err(unknown(id));
    }
    Ok(done)
}

/// The dead letters that an order means, and how it goes through them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bulk {
    name: Option<String>,
    kind: Option<String>,
    exec_cmd: Option<String>,
    since: Option<String>,
    until: Option<String>,
    error: Option<String>,
    group: Option<String>,
    /// At most this number of dead letters, the oldest.
    limit: Option<u64>,
    rate: Option<String>,
    confirm: bool,
}

impl Bulk {
    fn filter(&self) -> Result<DeadLetterFilter, Refused> {
        let filter = Filter {
            name: self.name.clone(),
            kind: self.kind.clone(),
            exec_cmd: self.exec_cmd.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            error: self.error.clone(),
        };
        filter.read()
    }

    fn rate(&self) -> Result<Option<Rate>, Refused> {
        let rate = self.rate.as_deref().map(str::parse).transpose();
        rate.map_err(|why: String| Refused::bad(format!("`rate`: {why}")))
    }
}

/// Of an order that is not confirmed.
#[derive(Serialize)]
struct Count {
    count: u64,
    /// There may be more dead letters than were read.
    at_least: bool,
    /// In words.
    meant: String,
}

pub(super) async fn replay_all(from: From, sent: web::Bytes, orderer: Orderer) -> Answer {
    let deed = replay_deed(&from, None);
    order_all(&from, &sent, deed, orderer).await
}

pub(super) async fn purge_all(from: From, sent: web::Bytes, orderer: Orderer) -> Answer {
    order_all(&from, &sent, Deed::Purge, orderer).await
}

async fn order_all(from: &From, sent: &[u8], deed: Deed, orderer: Orderer) -> Answer {
    let bulk: Bulk = body(sent)?;
    let (filter, rate) = (bulk.filter()?, bulk.rate()?);
    if bulk.limit == Some(0) {
        return Err(Refused::bad("`limit` is 0; it can be 1 or more"));
    }
    let config = &from.config;
    ask_first(config).await?;
    let reader = config.db.reader();
    let meant = Meant {
        filter,
        limit: bulk.limit,
        ..Meant::default()
    };
    let meant = read(with_group(reader, meant, bulk.group)).await?;
    if !bulk.confirm {
        let counted = read(meant.count(reader)).await?;
        return Ok(HttpResponse::Ok().json(Count {
            count: counted.dead_letters,
            at_least: !counted.is_all,
            meant: meant.describe(Some(counted)),
        }));
    }
    let new = NewJob {
        environment: config.state.identity.environment.clone(),
        ordered_by: orderer.who,
        meant,
        deed,
        rate,
    };
    let job = config.dead_letters.begin(&config.db, new);
    let job = job.ok_or_else(|| {
        Refused::too_many(
            "nothing is ordered: 8 orders about dead letters are under way in this daemon; wait for one of them, or stop it: \
             `/api/v1/dead/orders`",
        )
    })?;
    // Its end, if it has come; the progress shows which of both.
    let _ = job.wait(PATIENCE).await;
    Ok(HttpResponse::Accepted().json(Progress::of(&job)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_with_an_unknown_key_is_refused() {
        let refused = body::<Bulk>(br#"{"nmae": "orders"}"#)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("unknown field `nmae`"), "{refused}");
    }

    #[test]
    fn only_a_body_that_says_so_confirms() {
        for (sent, confirms) in [
            (&b""[..], false),
            (b"{}", false),
            (br#"{"confirm": false, "rate": "5/h"}"#, false),
            (br#"{"confirm": true}"#, true),
        ] {
            assert_eq!(body::<Bulk>(sent).unwrap().confirm, confirms);
        }
        assert!(body::<Bulk>(br#"{"confirm": "true"}"#).is_err());
    }
}
