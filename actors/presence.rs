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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix_rt::Arbiter;

    use super::*;

    struct Worker;

    impl Actor for Worker {
        type Context = Context<Self>;
    }

    impl Handler<AreYouThere> for Worker {
        type Result = ();

        fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
    }

    #[actix::test]
    async fn gone_and_hanging_actors_do_not_answer() {
        assert!(answers(&Worker.start()).await);
        let (arbiter, thread) = (Arbiter::new(), mpsc::channel::<()>());
        let hanging = Worker::start_in_arbiter(&arbiter.handle(), |_| Worker);
        assert!(answers(&hanging).await);
        arbiter.spawn_fn(move || {
            let _ = thread.1.recv();
        });
        tokio::time::pause();
        assert!(!answers(&hanging).await);
        drop(thread.0);
        let gone = Worker::create(|ctx| {
            ctx.stop();
            Worker
        });
        assert!(!answers(&gone).await);
    }
}
