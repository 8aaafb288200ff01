//! Who ordered what.

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, limit, query, read};
use crate::http::routes::From;
use crate::store::browse::{AuditAsked, AuditLine, Next, Reach, audits};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    limit: Option<u32>,
    before: Option<i64>,
}

#[derive(Serialize)]
struct Orders {
    orders: Vec<Order>,
    /// `before` of the next page; none behind the last one.
    next: Option<i64>,
}

#[derive(Serialize)]
struct Order {
    id: i64,
    at_ms: i64,
    ordered_by: String,
    action: String,
    target: String,
    result: String,
}

impl std::convert::From<AuditLine> for Order {
    fn from(line: AuditLine) -> Self {
        Self {
            id: line.id,
            at_ms: line.at_ms,
            ordered_by: line.ordered_by,
            action: line.action,
            target: line.target,
            result: line.result,
        }
    }
}

/// Where the next page begins.
pub(super) fn next<Place>(next: Next<Place>) -> Option<Place> {
    match next {
        Next::End => None,
        Next::More(place) | Next::Unknown(place) => Some(place),
    }
}

/// The newest first.
pub(super) async fn audit(from: From, request: HttpRequest) -> Answer {
    let Query {
        limit: rows,
        before,
    } = query(&request)?;
    let asked = AuditAsked {
        before,
        ..AuditAsked::of(&from.config.state.identity.environment)
    };
    let reach = Reach::page(limit(rows)?);
    let reader = from.config.db.reader();
    let page = read(audits(reader, asked, |_| true, reach)).await?;
    Ok(HttpResponse::Ok().json(Orders {
        orders: page.rows.into_iter().map(Order::from).collect(),
        next: next(page.next),
    }))
}
