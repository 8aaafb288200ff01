//! Runs one piece of business code: within its time, with its panics caught, marked in its slot.

use std::any::Any;
use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{LocalBoxFuture, join_all};

use super::error::{JobError, JobResult};
use super::guarded::Business;
use super::registry::{BatchHandler, Handler};
use super::{Message, batch, descriptors};
use crate::poison::{OwnSlot, Slot};
use crate::state::FailureCause;
use crate::trace::{Trace, within};

/// Calls the handler and waits for its end. Never panics.
///
/// The limit ends an async handler's future; a blocking handler that overruns keeps its caller until it returns, and
/// only then has failed: it cannot be stopped, and must not run twice at once.
pub(crate) async fn run<J, R>(
    handler: &Handler<J, R>,
    job: J,
    slot: Option<Slot>,
    limit: Option<Duration>,
    trace: Option<Trace>,
) -> JobResult<R>
where
    J: Send + 'static,
    R: Send + 'static,
{
    match handler {
        Handler::Async(function) => poll(|| function.call(job), slot, limit, trace).await,
        Handler::Blocking(call) => {
            let call = call.clone();
            let task = actix_rt::task::spawn_blocking(move || {
                // From here on: waiting for a thread is not the handler's fault.
                let started = Instant::now();
                let caught = || catch_unwind(AssertUnwindSafe(|| call(job)));
                let guarded = || within(trace.as_ref(), caught);
                let ended = match &slot {
                    Some(slot) => slot.enter(guarded),
                    None => guarded(),
                };
                (started.elapsed(), ended)
            });
            let (took, ended) = task.await.map_err(|cause| cause.to_string())?;
            match limit {
                Some(limit) if took > limit => Err(timed_out(limit)),
                _ => ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))),
            }
        }
    }
}

/// As [`run`], in the slot of a consumer that runs its messages one after the other. A blocking handler takes it away:
/// it may run on when the consumer is gone.
///
/// # Panics
///
/// Where there is no job.
pub(crate) async fn run_in<J, R>(
    handler: &Handler<J, R>,
    // Taken from its place by the call itself: it is large, and each step on its way would copy it.
    job: &mut Option<J>,
    own: &mut Option<OwnSlot>,
    limit: Option<Duration>,
    trace: Option<Trace>,
) -> JobResult<R>
where
    J: Send + 'static,
    R: Send + 'static,
{
    let mut job = || match job.take() {
        Some(job) => job,
        None => unreachable!("a job runs once"),
    };
    match (handler, own.as_ref()) {
        (Handler::Async(function), Some(own)) => {
            poll(|| function.call(job()), Some(own.slot()), limit, trace).await
        }
        // In a place of its own: the usual way would be as large as this one, and is copied for each message.
        _ => {
            Box::pin(run(
                handler,
                job(),
                own.take().map(OwnSlot::into_slot),
                limit,
                trace,
            ))
            .await
        }
    }
}

async fn poll<R, S: Borrow<Slot>>(
    call: impl FnOnce() -> LocalBoxFuture<'static, JobResult<R>>,
    slot: Option<S>,
    limit: Option<Duration>,
    trace: Option<Trace>,
) -> JobResult<R> {
    let mut business = Business::new(call, slot, trace);
    let ended = match limit {
        None => (&mut business).await,
        Some(limit) => match Box::pin(tokio::time::timeout(limit, &mut business)).await {
            Ok(ended) => ended,
            Err(_) => business.abandon().map(|()| Err(timed_out(limit))),
        },
    };
    ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// Calls a batch handler: one outcome per message, whatever happens. Its messages may be of many traces: it runs in none.
pub(crate) async fn run_batch(
    handler: &BatchHandler,
    messages: Vec<Message>,
    slot: Option<Slot>,
    limit: Option<Duration>,
) -> Vec<JobResult> {
    let n = messages.len();
    let first = messages.first();
    let first = first.map(|message| (Arc::clone(&message.source.queue), message.id.clone()));
    let which = || match &first {
        Some((queue, id)) => format!("queue `{queue}`: the batch of message {id}"),
        None => "a batch without messages".to_owned(),
    };
    let mut outcomes = match run(handler, messages, slot, limit, None).await {
        Ok(outcomes) => outcomes,
        Err(error) => return batch::same_for_all(&descriptors::excuse(error, which).await, n),
    };
    // After the first one that is excused the others are, too, in the same moment.
    let failed = outcomes
        .iter_mut()
        .enumerate()
        .filter(|(_, outcome)| outcome.is_err());
    let excused = failed.map(|(at, outcome)| async move {
        if let Err(error) = std::mem::replace(outcome, Ok(())) {
            let which = || format!("{}, number {at} of it", which());
            *outcome = Err(descriptors::excuse(error, which).await);
        }
    });
    join_all(excused).await;
    outcomes
}

fn timed_out(limit: Duration) -> JobError {
    let text = format!("the handler ran longer than its timeout of {limit:?}");
    JobError::of_kind(FailureCause::Timeout, text)
}

fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)");
    JobError::of_kind(FailureCause::Panic, format!("the handler panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn asynchronous<F, Fut>(f: F) -> Handler<u8, u8>
    where
        F: Fn(u8) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult<u8>> + 'static,
    {
        Handler::of(move |job| f(job).boxed_local())
    }

    #[actix_rt::test]
    async fn a_panic_is_an_error() {
        let handler = asynchronous(|_| async { panic!("boom") });
        let error = run(&handler, 1, None, None, None).await.unwrap_err();
        assert!(error.to_string().contains("panicked: boom"), "{error}");

        let before_the_future = asynchronous(|job| {
            assert!(job > 1, "too small");
            async { Ok(1) }
        });
        let error = run(&before_the_future, 1, None, None, None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("too small"), "{error}");

        let blocking: Handler<u8, u8> = Handler::Blocking(Arc::new(|_| panic!("thread")));
        let error = run(&blocking, 1, None, None, None).await.unwrap_err();
        assert!(error.to_string().contains("panicked: thread"), "{error}");
    }

    #[actix_rt::test]
    async fn only_its_handler_is_within_a_trace() {
        let trace = Trace::of_run("x");
        let here = || Trace::current().is_some();
        let handler = asynchronous(move |_| async move {
            let before = here();
            tokio::task::yield_now().await;
            Ok(u8::from(before && here()))
        });
        let ended = run(&handler, 1, None, None, Some(trace.clone()));
        let (ended, beside) = tokio::join!(ended, async { here() });
        assert_eq!((ended.unwrap(), beside, here()), (1, false, false));
        assert_eq!(run(&handler, 1, None, None, None).await.unwrap(), 0);
        let blocking: Handler<u8, u8> = Handler::Blocking(Arc::new(move |_| Ok(u8::from(here()))));
        let ended = run(&blocking, 1, None, None, Some(trace)).await;
        assert_eq!(ended.unwrap(), 1);
    }

    #[actix_rt::test]
    async fn the_limit_ends_a_future() {
        tokio::time::pause();
        let handler = asynchronous(|_| std::future::pending());
        let limit = Some(Duration::from_secs(30));
        let error = run(&handler, 1, None, limit, None).await.unwrap_err();
        assert!(error.to_string().contains("timeout of 30s"), "{error}");
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }

    #[actix_rt::test]
    async fn a_destructor_that_panics_at_the_limit_is_an_error() {
        tokio::time::pause();
        let handler = asynchronous(|_| async {
            let _bomb = Bomb;
            std::future::pending().await
        });
        let limit = Some(Duration::from_secs(30));
        let error = run(&handler, 1, None, limit, None).await.unwrap_err();
        assert!(error.to_string().contains("panicked: bomb"), "{error}");
    }

    #[actix_rt::test]
    async fn a_blocking_handler_is_awaited_beyond_its_limit() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let handler: Handler<u8, u8> = Handler::Blocking(Arc::new(move |job| {
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(20) {
                std::thread::yield_now();
            }
            sender.send(()).map_err(|cause| cause.to_string())?;
            Ok(job)
        }));
        let limit = Some(Duration::from_millis(1));
        let error = run(&handler, 1, None, limit, None).await.unwrap_err();
        assert!(
            receiver.try_recv().is_ok(),
            "it returned before the verdict"
        );
        assert!(error.to_string().contains("timeout"), "{error}");
    }
}
