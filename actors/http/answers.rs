//! The forms of answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

/// What is sent instead of an answer.
#[derive(Debug, Serialize)]
struct Fault<'a> {
    error: &'a str,
}

pub(super) fn refusal(status: StatusCode, why: &str) -> HttpResponse {
    HttpResponse::build(status).json(Fault { error: why })
}
