//! What a request asks for, and the ways in which it is refused.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::HttpConfig;
use crate::http::answers::refusal;
use crate::http::ordering::{self, NotDone, PATIENCE, Unanswered};
use crate::operations::Refusal;
use crate::store::DbError;

/// Rows of a list, where nothing else is asked for.
pub(super) const ROWS: u32 = 100;
/// Rows of a list, at most.
pub(super) const MOST_ROWS: u32 = 1000;

pub(super) type Answer = Result<HttpResponse, Refused>;

/// There is no answer, for this reason.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Refused {
    status: StatusCode,
    why: String,
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        refusal(self.status, &self.why)
    }
}

impl Refused {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { status, why }
    }

    /// The request makes no sense.
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// It cannot be done to the thing as it is now.
    pub(super) fn impossible(why: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    /// With more words behind it.
    pub(super) fn with(self, more: &str) -> Self {
        Self {
            why: self.why + more,
            ..self
        }
    }

    /// Others are under way that must end first.
    pub(super) fn too_many(why: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, why)
    }

    fn away(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(why) => Self::unknown(why),
            Refusal::Misused(why) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, why),
            Refusal::Impossible(why) => Self::impossible(why),
            Refusal::Database(cause) => cause.into(),
        }
    }
}

impl From<DbError> for Refused {
    fn from(cause: DbError) -> Self {
        Self::away(cause.to_string())
    }
}

impl<E: Into<Self>> From<NotDone<E>> for Refused {
    fn from(not_done: NotDone<E>) -> Self {
        match not_done {
            NotDone::Failed(cause) => cause.into(),
            NotDone::Unanswered(why) => why.into(),
        }
    }
}

impl From<Unanswered> for Refused {
    fn from(why: Unanswered) -> Self {
        Self::away(why.to_string())
    }
}

/// The values of the query; a name that it does not know is refused.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Refused> {
    let query = web::Query::<T>::from_query(request.query_string());
    let query = query.map_err(|fault| Refused::bad(format!("the query: {fault}")))?;
    Ok(query.into_inner())
}

/// The body, as JSON; an empty one has the defaults.
pub(super) fn body<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refused> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|fault| Refused::bad(format!("the body: {fault}")))
}

/// The number of a row; another text is the number of none. `what` is its kind.
pub(super) fn id(what: &str, text: &str) -> Result<i64, Refused> {
    let unknown = |_| Refused::unknown(format!("there is no {what} `{text}`: its id is a number"));
    text.parse().map_err(unknown)
}

/// How many rows a list is to have.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Refused> {
    match asked.unwrap_or(ROWS) {
        limit @ 1..=MOST_ROWS => Ok(limit),
        limit => Err(Refused::bad(format!(
            "`limit` is {limit}; it can be 1 to {MOST_ROWS}"
        ))),
    }
}

/// The answer to a question, within [`PATIENCE`].
pub(super) async fn read<T, E: Into<Refused>>(
    question: impl Future<Output = Result<T, E>>,
) -> Result<T, Refused> {
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Refused::away(format!(
            "the database has not answered within {} seconds",
            PATIENCE.as_secs()
        ))),
    }
}

/// Without a database nothing is ordered.
pub(super) async fn ask_first(config: &HttpConfig) -> Result<(), Refused> {
    Ok(ordering::ask_first(config).await?)
}

/// What became of an order: see `http/ordering.rs`.
pub(super) async fn write<T: 'static, E: Into<Refused> + 'static>(
    config: &HttpConfig,
    order: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, Refused> {
    Ok(ordering::give(config, order).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_bounded_number_of_rows() {
        assert_eq!(limit(None).unwrap(), ROWS);
        assert_eq!(limit(Some(MOST_ROWS)).unwrap(), MOST_ROWS);
        for wrong in [0, MOST_ROWS + 1] {
            let refused = limit(Some(wrong)).unwrap_err();
            assert!(refused.why.contains("1 to 1000"), "{refused}");
        }
    }
}
