//! Tries handlers without a daemon.

use std::sync::Arc;

use actix_rt::System;
use bytes::Bytes;
use futures_util::future::join;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::recorded_pushes::RecordedPushes;
use super::register::{asynchronous, blocking, boxed, boxed_to_value, own_code, to_value};
use super::services::Services;
use crate::alert::warning::Recording;
use crate::config::Settings;
use crate::delay_queue::{DelayQueueActor, DelayQueueHandle, PushItem, Pushable, Pusher};
use crate::job::{FromJob, Handler, Job, JobResult, Message, Run, Task, run};
use crate::source::{Clusters, Inside, Sender, TestSends};
use crate::stop::StopSignal;

/// Runs handlers in a plain `#[test]`: no daemon, no database, no server.
///
/// Their pushed tasks are kept for the test to read.
///
/// ```
/// use simplest_script::testing::Harness;
/// use simplest_script::{Context, JobResult, Message, PushItem};
///
/// async fn order(message: Message, ctx: Context) -> JobResult {
///     let params = String::from_utf8(message.payload.to_vec())?;
///     let remind = PushItem { exec_cmd: "remind".into(), params, delay_time: 60, ..PushItem::default() };
///     ctx.push(vec![remind]).await?;
///     Ok(())
/// }
///
/// let harness = Harness::new(());
/// harness.consume(order, Message::new("7")).unwrap();
/// assert_eq!(harness.pushed()[0].params, "7");
/// ```
pub struct Harness<S> {
    system: actix_rt::SystemRunner,
    context: Context<S>,
    stop: StopSignal,
    pushed: RecordedPushes,
    sent: Arc<Mutex<TestSends>>,
    warned: Recording,
}

impl<S: Send + Sync + 'static> Harness<S> {
    /// Handlers find this state in their context, and the default settings.
    pub fn new(state: S) -> Self {
        Self::with_settings(state, Settings::default())
    }

    /// As [`new`](Self::new), with these settings.
    pub fn with_settings(state: S, settings: Settings) -> Self {
        let system = System::new();
        let pushed = RecordedPushes::default();
        let sent = Arc::new(Mutex::new(TestSends::default()));
        let stop = StopSignal::new();
        let context = system.block_on(async {
            let delay_queue = DelayQueueHandle::default();
            let pusher = Pusher::new(Pushable::Any, pushed.clone());
            delay_queue.set(DelayQueueActor::start_pusher(pusher));
            let sender = Sender::Test(Arc::clone(&sent));
            let clusters = Clusters::new(&settings.kafka, Inside::Daemon);
            let services = Services::new(
                settings,
                delay_queue,
                sender,
                Arc::new(clusters),
                stop.clone(),
                Pushable::Any,
            );
            Context::new(Arc::new(services), state)
        });
        Self {
            system,
            context,
            stop,
            pushed,
            sent,
            warned: Recording::default(),
        }
    }

    /// Runs a consumer on the message.
    ///
    /// # Errors
    ///
    /// What the handler answers; a panic in it is an error as in the daemon.
    pub fn consume<A, F, Fut>(&self, handler: F, message: Message) -> JobResult
    where
        A: FromJob<Message>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult> + 'static,
    {
        self.run(&asynchronous(boxed(handler), self.context.clone()), message)
    }

    /// As [`consume`](Self::consume), with a plain function that may block, on a thread for that.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    pub fn blocking_consume<A, F>(&self, handler: F, message: Message) -> JobResult
    where
        A: FromJob<Message> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult + Send + Sync + 'static,
    {
        let handler = self.counting(handler);
        self.run(&blocking(handler, self.context.clone(), Ok), message)
    }

    /// As [`delayed`](Self::delayed), with a plain function that may block, on a thread for that.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    pub fn blocking_delayed<A, F, R>(&self, handler: F, task: Task) -> JobResult<Value>
    where
        A: FromJob<Task> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult<R> + Send + Sync + 'static,
        R: Serialize + 'static,
    {
        let handler = self.counting(handler);
        self.run(&blocking(handler, self.context.clone(), to_value), task)
    }

    /// As [`cron`](Self::cron), with a plain function that may block, on a thread for that.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    pub fn blocking_cron<A, F, R>(&self, handler: F, job: Run) -> JobResult<Value>
    where
        A: FromJob<Run> + Send + 'static,
        F: Fn(A, Context<S>) -> JobResult<R> + Send + Sync + 'static,
        R: Serialize + 'static,
    {
        let handler = self.counting(handler);
        self.run(&blocking(handler, self.context.clone(), to_value), job)
    }

    /// Runs a delayed task's handler; answers its result as JSON.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    pub fn delayed<A, F, Fut, R>(&self, handler: F, task: Task) -> JobResult<Value>
    where
        A: FromJob<Task>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult<R>> + 'static,
        R: Serialize + 'static,
    {
        self.run(
            &asynchronous(boxed_to_value(handler), self.context.clone()),
            task,
        )
    }

    /// Runs a cron handler; answers its result as JSON.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    pub fn cron<A, F, Fut, R>(&self, handler: F, job: Run) -> JobResult<Value>
    where
        A: FromJob<Run>,
        F: Fn(A, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult<R>> + 'static,
        R: Serialize + 'static,
    {
        self.run(
            &asynchronous(boxed_to_value(handler), self.context.clone()),
            job,
        )
    }

    /// Runs own code, as [`App::spawn`](crate::App::spawn) takes it, beside what the test does with it meanwhile. When the
    /// latter is over the stop begins, for this Harness for good. Answers how the code ended.
    ///
    /// ```
    /// use simplest_script::testing::Harness;
    /// use simplest_script::{Context, JobResult, PushItem};
    ///
    /// async fn tick(ctx: Context) -> JobResult {
    ///     ctx.push([PushItem { exec_cmd: "tock".into(), ..PushItem::default() }]).await?;
    ///     ctx.until_stopping().await;
    ///     Ok(())
    /// }
    ///
    /// let harness = Harness::new(());
    /// harness.own_code(tick, async { /* what a client of it would do */ }).unwrap();
    /// assert_eq!(harness.pushed()[0].exec_cmd, "tock");
    /// ```
    ///
    /// # Errors
    ///
    /// What the code answers; a panic in it is an error as in the daemon.
    pub fn own_code<F>(&self, code: F, meanwhile: impl Future<Output = ()>) -> JobResult
    where
        F: AsyncFn(Context<S>) -> JobResult + Send + Sync + 'static,
    {
        let code = own_code(code, self.context.clone());
        let meanwhile = async {
            meanwhile.await;
            self.stop.quiet();
        };
        let _counts_here = self.warned.enter();
        let both = join(run(&code, (), None, None, None), meanwhile);
        self.system.block_on(both).0
    }

    /// What handlers pushed so far, in order.
    pub fn pushed(&self) -> Vec<PushItem> {
        self.pushed.items()
    }

    /// What handlers sent to queues so far, in order: the queue's name and the payload.
    pub fn sent(&self) -> Vec<(String, Bytes)> {
        self.sent.lock().sent.clone()
    }

    /// What handlers counted with a [`Warning`](crate::Warning) so far, in order: the flag, the count and the messages of each
    /// `add`. What is awaited of an `add` is `Ok` at once, unless the warning itself is not right.
    ///
    /// Counted are the calls on the thread of the test, and those of a blocking handler; a thread that the handler starts itself
    /// is none of the harness.
    ///
    /// ```
    /// use simplest_script::testing::Harness;
    /// use simplest_script::{Context, JobResult, Message, Warning};
    ///
    /// fn pay(_: Message, _: Context) -> JobResult {
    ///     Warning::new("pay").period(100, 60).add(2, ["card refused"]).wait()?;
    ///     Ok(())
    /// }
    ///
    /// let harness = Harness::new(());
    /// harness.blocking_consume(pay, Message::new("7")).unwrap();
    /// assert_eq!(harness.warned(), [("pay".to_owned(), 2, vec!["card refused".to_owned()])]);
    /// ```
    pub fn warned(&self) -> Vec<(String, u64, Vec<String>)> {
        self.warned.adds()
    }

    /// The context that handlers get.
    pub fn context(&self) -> Context<S> {
        self.context.clone()
    }

    /// The same function, whose counts are kept on whichever thread it runs.
    fn counting<A, R>(
        &self,
        handler: impl Fn(A, Context<S>) -> R + Send + Sync + 'static,
    ) -> impl Fn(A, Context<S>) -> R + Send + Sync + 'static {
        let warned = self.warned.clone();
        move |argument, ctx| {
            let _counts_here = warned.enter();
            handler(argument, ctx)
        }
    }

    fn run<J: Job + Send, R: Send + 'static>(
        &self,
        handler: &Handler<J, R>,
        job: J,
    ) -> JobResult<R> {
        let trace = job.trace();
        let _counts_here = self.warned.enter();
        self.system.block_on(run(handler, job, None, None, trace))
    }
}
