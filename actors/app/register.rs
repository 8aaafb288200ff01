//! How handlers are registered: plain functions in, handlers of one shape out.

use std::future::ready;
use std::panic::Location;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::{App, Context};
use crate::job::{
    BatchOutcome, Consumer, FromJob, Handler, Job, JobError, JobResult, Message, OwnCode, Run, Task,
};

impl<S: Send + Sync + 'static> App<S> {
    /// Registers an async function that consumes the messages of queue entries with this `exec_cmd`, one by one.
    pub fn consumer<A, F, Fut>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Message>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult> + 'static,
    {
        let bind = |ctx| Consumer::Single(asynchronous(boxed(handler), ctx));
        self.registry.consumer(exec_cmd.into(), bind);
        self
    }

    /// As [`consumer`](Self::consumer), with a plain function that may block; it runs on a pool of threads for that.
    pub fn blocking_consumer<A, F>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Message> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult + Send + Sync + 'static,
    {
        let bind = |ctx| Consumer::Single(blocking(handler, ctx, Ok));
        self.registry.consumer(exec_cmd.into(), bind);
        self
    }

    /// Registers an async function that consumes messages in batches (`batch_size`, `batch_wait`). It answers one outcome
    /// for all, or a `Vec` with one for each.
    pub fn batch_consumer<F, Fut>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Vec<Message>, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: BatchOutcome> + 'static,
    {
        let bind = |ctx: Context<S>| {
            let run = move |messages: Vec<Message>, ctx| {
                let n = messages.len();
                let outcomes = handler(messages, ctx);
                async move { Ok(outcomes.await.outcomes(n)) }.boxed_local()
            };
            Handler::with_context(ctx, run)
        };
        self.registry.batch_consumer(exec_cmd.into(), bind);
        self
    }

    /// As [`batch_consumer`](Self::batch_consumer), with a plain function that may block.
    pub fn blocking_batch_consumer<F, O>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Vec<Message>, Context<S>) -> O + Send + Sync + 'static,
        O: BatchOutcome,
    {
        let bind = |ctx: Context<S>| {
            Handler::Blocking(Arc::new(move |messages: Vec<Message>| {
                let n = messages.len();
                Ok(handler(messages, ctx.clone()).outcomes(n))
            }))
        };
        self.registry.batch_consumer(exec_cmd.into(), bind);
        self
    }

    /// Registers an async function that runs the delayed tasks pushed with this `exec_cmd`.
    pub fn delayed<A, F, Fut, R>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Task>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult<R>> + 'static,
        R: Serialize + 'static,
    {
        let bind = |ctx| asynchronous(boxed_to_value(handler), ctx);
        self.registry.delayed(exec_cmd.into(), bind);
        self
    }

    /// As [`delayed`](Self::delayed), with a plain function that may block.
    pub fn blocking_delayed<A, F, R>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Task> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult<R> + Send + Sync + 'static,
        R: Serialize + 'static,
    {
        let bind = |ctx| blocking(handler, ctx, to_value);
        self.registry.delayed(exec_cmd.into(), bind);
        self
    }

    /// Registers an async function that runs cron entries with this `exec_cmd`, each run in a process of its own.
    pub fn cron<A, F, Fut, R>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Run>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult<R>> + 'static,
        R: Serialize + 'static,
    {
        let bind = |ctx| asynchronous(boxed_to_value(handler), ctx);
        self.registry.cron(exec_cmd.into(), bind);
        self
    }

    /// As [`cron`](Self::cron), with a plain function that may block.
    pub fn blocking_cron<A, F, R>(mut self, exec_cmd: impl Into<String>, handler: F) -> Self
    where
        A: FromJob<Run> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult<R> + Send + Sync + 'static,
        R: Serialize + 'static,
    {
        let bind = |ctx| blocking(handler, ctx, to_value);
        self.registry.cron(exec_cmd.into(), bind);
        self
    }

    /// Registers code of your own that is no handler: it starts when the daemon is ready, and ends with it. May be called
    /// several times. A web server, an actor or a thread gets its [`Context`] here, to push and send whenever it likes:
    ///
    /// ```no_run
    /// use simplest_script::{App, Context, JobResult, PushItem, Task};
    /// use tokio::net::TcpListener;
    ///
    /// async fn remind(_: Task, _: Context) -> JobResult {
    ///     Ok(())
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     App::new()
    ///         .delayed("remind", remind)
    ///         .spawn(async |ctx| {
    ///             let server = TcpListener::bind("127.0.0.1:8080").await?;
    ///             loop {
    ///                 let (_connection, caller) = tokio::select! {
    ///                     accepted = server.accept() => accepted?,
    ///                     () = ctx.until_stopping() => return Ok(()),
    ///                 };
    ///                 ctx.push([PushItem {
    ///                     exec_cmd: "remind".to_owned(),
    ///                     params: caller.to_string(),
    ///                     delay_time: 60,
    ///                     ..PushItem::default()
    ///                 }])
    ///                 .await?;
    ///             }
    ///         })
    ///         .main()
    /// }
    /// ```
    ///
    /// **Thread.** Each runs on a thread of its own, an actix Arbiter: actors and servers can be started in it, its future
    /// need not be [`Send`], and code that blocks its thread holds up nothing of the daemon.
    ///
    /// **End.** `Ok` ends the code; actors and tasks that it started on its thread live on until the daemon's stop. An error
    /// or a panic is a line in the log, and the code is started again, on a fresh thread, after a pause that doubles from
    /// 0.1 to 30 seconds; what the failed run had started on its thread is dropped before. [`JobError::retry_in`] chooses
    /// the pause, [`JobError::discard`] leaves the code ended.
    ///
    /// **Stop.** [`Context::stopping`] becomes true and [`Context::until_stopping`] returns. The code may push and send until
    /// shortly before `shutdown_deadline`; then its future is dropped. Code that never returns makes each stop take that
    /// long.
    ///
    /// It runs in the daemon alone: not in cron processes, and not for commands.
    #[track_caller]
    pub fn spawn<F>(mut self, code: F) -> Self
    where
        F: AsyncFn(Context<S>) -> JobResult + Send + Sync + 'static,
    {
        let place = Location::caller();
        let place = format!("{}:{}", place.file(), place.line());
        self.registry.own_code(|ctx| OwnCode {
            place,
            handler: own_code(code, ctx),
        });
        self
    }
}

/// Own code as a handler of no job: what runs handlers catches its panics too.
pub(super) fn own_code<S, F>(code: F, ctx: Context<S>) -> Handler<(), ()>
where
    S: Send + Sync + 'static,
    F: AsyncFn(Context<S>) -> JobResult + Send + Sync + 'static,
{
    let code = Arc::new(code);
    Handler::with_context(ctx, move |(), ctx| {
        let code = Arc::clone(&code);
        async move { code(ctx).await }.boxed_local()
    })
}

/// A value that cannot be JSON is a fault of the handler, and no retry can mend it.
pub(super) fn to_value<R: Serialize>(result: R) -> JobResult<Value> {
    serde_json::to_value(result)
        .map_err(|cause| JobError::discard(format!("the handler's result is no JSON: {cause}")))
}

/// A handler's future in a place of its own, as it is: with a fast handler each wrapping costs, as it copies the message.
pub(super) fn boxed<A, C, F, Fut, T>(
    handler: F,
) -> impl Fn(A, C) -> LocalBoxFuture<'static, JobResult<T>> + Send + Sync + 'static
where
    F: Fn(A, C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = JobResult<T>> + 'static,
{
    move |argument, ctx| handler(argument, ctx).boxed_local()
}

/// The same where the result is wanted as JSON.
pub(super) fn boxed_to_value<A, C, F, Fut, R>(
    handler: F,
) -> impl Fn(A, C) -> LocalBoxFuture<'static, JobResult<Value>> + Send + Sync + 'static
where
    F: Fn(A, C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = JobResult<R>> + 'static,
    R: Serialize + 'static,
{
    move |argument, ctx| {
        let ended = handler(argument, ctx);
        async move { to_value(ended.await?) }.boxed_local()
    }
}

pub(super) fn asynchronous<S, J, A, T>(
    handler: impl Fn(A, Context<S>) -> LocalBoxFuture<'static, JobResult<T>> + Send + Sync + 'static,
    ctx: Context<S>,
) -> Handler<J, T>
where
    S: Send + Sync + 'static,
    J: Job,
    A: FromJob<J>,
    T: 'static,
{
    Handler::with_context(ctx, move |job, ctx| match A::from_job(job) {
        Ok(argument) => handler(argument, ctx),
        Err(error) => ready(Err(error)).boxed_local(),
    })
}

pub(super) fn blocking<S, J, A, F, R, T>(
    handler: F,
    ctx: Context<S>,
    finish: fn(R) -> JobResult<T>,
) -> Handler<J, T>
where
    S: Send + Sync + 'static,
    J: Job,
    A: FromJob<J>,
    F: Fn(A, Context<S>) -> JobResult<R> + Send + Sync + 'static,
    R: 'static,
    T: 'static,
{
    Handler::Blocking(Arc::new(move |job| {
        finish(handler(A::from_job(job)?, ctx.clone())?)
    }))
}
