//! The question whether an actor still takes messages.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use tokio::time::timeout;

/// An actor that needs longer for an answer does not work.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The answer is the answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AreYouThere;

/// Whether it answers in time.
pub(crate) async fn answers<A>(actor: &Addr<A>) -> bool
where
    A: Actor + Handler<AreYouThere>,
    A::Context: ToEnvelope<A, AreYouThere>,
{
    let answer = timeout(ANSWER_WITHIN, actor.send(AreYouThere)).await;
    matches!(answer, Ok(Ok(())))
}
