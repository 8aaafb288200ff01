//! What a handler's first argument may be.

use serde::de::DeserializeOwned;

use super::error::{JobError, JobResult};
use super::kinds::Job;

/// A handler's first argument, made from the job.
#[diagnostic::on_unimplemented(
    message = "a handler's first argument is `{J}` or `Json<T>` with `T: Deserialize`, not `{Self}`"
)]
pub trait FromJob<J: Job>: Sized {
    /// Makes the argument.
    ///
    /// # Errors
    ///
    /// When the job's body is not what the handler asks for; the job becomes a dead letter.
    fn from_job(job: J) -> JobResult<Self>;
}

/// The payload or params of a job, parsed as JSON.
///
/// A parse error is a dead letter at once: no retry can mend it.
///
/// ```
/// use serde::Deserialize;
/// use simplest_script::testing::Harness;
/// use simplest_script::{Context, JobResult, Json, Message};
///
/// #[derive(Deserialize)]
/// struct Order {
///     id: u64,
/// }
///
/// async fn ship(Json(order): Json<Order>, _: Context) -> JobResult {
///     if order.id == 0 { Err("no such order")? }
///     Ok(())
/// }
///
/// let harness = Harness::new(());
/// assert!(harness.consume(ship, Message::new(r#"{"id": 7}"#)).is_ok());
/// assert!(harness.consume(ship, Message::new("not json")).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<J: Job> FromJob<J> for J {
    fn from_job(job: J) -> JobResult<Self> {
        Ok(job)
    }
}

impl<J: Job, T: DeserializeOwned> FromJob<J> for Json<T> {
    fn from_job(job: J) -> JobResult<Self> {
        parse(&job).map(Json)
    }
}

/// The parsed body beside the job itself, for handlers that need the key, headers or attempt too.
impl<J: Job, T: DeserializeOwned> FromJob<J> for (Json<T>, J) {
    fn from_job(job: J) -> JobResult<Self> {
        Ok((Json(parse(&job)?), job))
    }
}

fn parse<T: DeserializeOwned>(job: &impl Job) -> JobResult<T> {
    serde_json::from_slice(job.body())
        .map_err(|cause| JobError::discard(format!("the body is not the JSON expected: {cause}")))
}
