//! Tries handlers without a daemon.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Actor;
use actix_rt::System;
use bytes::Bytes;
use futures_util::future::join;
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::register::{asynchronous, boxed, boxed_to_value, own_code};
use super::services::Services;
use crate::config::Settings;
use crate::delay_queue::{DelayQueueActor, DelayQueueHandle, PushItem};
use crate::job::{FromJob, Handler, JobResult, Message, Run, Task, run};
use crate::source::{Clusters, Inside, Sender};
use crate::stop::StopSignal;

/// Runs handlers in a plain `#[test]`: no daemon, no database, no server.
///
/// What they push is kept for the test to look at.
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
    pushed: Arc<Mutex<Vec<PushItem>>>,
    sent: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl<S: Send + Sync + 'static> Harness<S> {
    /// Handlers find this state in their context, and the default settings.
    pub fn new(state: S) -> Self {
        Self::with_settings(state, Settings::default())
    }

    /// As [`new`](Self::new), with these settings.
    pub fn with_settings(state: S, settings: Settings) -> Self {
        let system = System::new();
        let pushed = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let stop = StopSignal::new();
        let context = system.block_on(async {
            let delay_queue = DelayQueueHandle::default();
            delay_queue.set(DelayQueueActor::for_tests(Arc::clone(&pushed)).start());
            let sender = Sender::Test(Arc::clone(&sent));
            let clusters = Clusters::new(&settings.kafka, Inside::Daemon);
            let services = Services::new(
                settings,
                delay_queue,
                sender,
                Arc::new(clusters),
                stop.clone(),
                None,
            );
            Context::new(Arc::new(services), state)
        });
        Self {
            system,
            context,
            stop,
            pushed,
            sent,
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
        let both = join(run(&code, (), None, None), meanwhile);
        self.system.block_on(both).0
    }

    /// What handlers pushed so far, in order.
    pub fn pushed(&self) -> Vec<PushItem> {
        self.pushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What handlers sent to queues so far, in order: the queue's name and the payload.
    pub fn sent(&self) -> Vec<(String, Bytes)> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The context that handlers get.
    pub fn context(&self) -> Context<S> {
        self.context.clone()
    }

    fn run<J: Send + 'static, R: Send + 'static>(
        &self,
        handler: &Handler<J, R>,
        job: J,
    ) -> JobResult<R> {
        self.system.block_on(run(handler, job, None, None))
    }
}
