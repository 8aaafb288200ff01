//! The handlers by their `exec_cmd`: one registry each for consumers, delayed tasks and cron jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::error::JobResult;
use super::kinds::{Message, Run, Task};
use crate::config::Commands;

/// An async function that was registered.
pub(crate) trait Function<J, R>: Send + Sync {
    fn call(&self, job: J) -> LocalBoxFuture<'static, JobResult<R>>;

    /// The same function with an unshared clone of its context.
    fn unshared_clone(&self) -> Arc<dyn Function<J, R>>;
}

/// A context. Each call gets a clone of it, and raises and lowers each count that the clones share.
pub(crate) trait UnsharedClone: Clone + Send + Sync + 'static {
    /// A clone that shares no count with this one: a count that all threads raise and lower moves to and fro between
    /// their caches, which costs more than a fast handler does.
    fn unshared_clone(&self) -> Self;
}

struct WithContext<F, C> {
    function: Arc<F>,
    context: C,
}

impl<F, C, J, R> Function<J, R> for WithContext<F, C>
where
    F: Fn(J, C) -> LocalBoxFuture<'static, JobResult<R>> + Send + Sync + 'static,
    C: UnsharedClone,
{
    fn call(&self, job: J) -> LocalBoxFuture<'static, JobResult<R>> {
        (self.function)(job, self.context.clone())
    }

    fn unshared_clone(&self) -> Arc<dyn Function<J, R>> {
        Arc::new(Self {
            function: Arc::clone(&self.function),
            context: self.context.unshared_clone(),
        })
    }
}

/// A handler, ready to be called on any worker.
pub(crate) enum Handler<J, R> {
    /// Polled on the worker that calls it.
    Async(Arc<dyn Function<J, R>>),
    /// Called on the blocking pool.
    Blocking(Arc<dyn Fn(J) -> JobResult<R> + Send + Sync>),
}

impl<J, R> Clone for Handler<J, R> {
    fn clone(&self) -> Self {
        match self {
            Self::Async(call) => Self::Async(Arc::clone(call)),
            Self::Blocking(call) => Self::Blocking(Arc::clone(call)),
        }
    }
}

impl<J, R> Handler<J, R> {
    /// An async function that wants a context.
    pub(crate) fn with_context<F, C>(context: C, function: F) -> Self
    where
        F: Fn(J, C) -> LocalBoxFuture<'static, JobResult<R>> + Send + Sync + 'static,
        C: UnsharedClone,
    {
        let function = Arc::new(function);
        Self::Async(Arc::new(WithContext { function, context }))
    }

    /// A clone for one thread, which shares no count with those of other threads.
    pub(crate) fn unshared_clone(&self) -> Self {
        match self {
            Self::Async(function) => Self::Async(function.unshared_clone()),
            Self::Blocking(call) => Self::Blocking(Arc::clone(call)),
        }
    }
}

#[cfg(test)]
impl UnsharedClone for () {
    fn unshared_clone(&self) {}
}

#[cfg(test)]
impl<J: 'static, R: 'static> Handler<J, R> {
    /// An async function that wants none.
    pub(crate) fn of(
        function: impl Fn(J) -> LocalBoxFuture<'static, JobResult<R>> + Send + Sync + 'static,
    ) -> Self {
        Self::with_context((), move |job, ()| function(job))
    }
}

/// A handler of whole batches.
pub(crate) type BatchHandler = Handler<Vec<Message>, Vec<JobResult>>;

/// A consumer takes messages one by one, or in batches.
#[derive(Clone)]
pub(crate) enum Consumer {
    Single(Handler<Message, ()>),
    Batch(BatchHandler),
}

/// A handler that still wants its context.
type Unbound<C, H> = Box<dyn FnOnce(C) -> H>;

/// What a program registers before there is any context.
pub(crate) struct Registry<C> {
    consumers: BTreeMap<String, Unbound<C, Consumer>>,
    delayed: BTreeMap<String, Unbound<C, Handler<Task, Value>>>,
    cron: BTreeMap<String, Unbound<C, Handler<Run, Value>>>,
    own_code: Vec<Unbound<C, OwnCode>>,
    /// The consumers that take batches.
    batch_consumers: BTreeSet<String>,
    /// What was registered twice; refused at the start.
    doubles: Vec<String>,
}

impl<C: Clone + 'static> Registry<C> {
    pub(crate) fn new() -> Self {
        Self {
            consumers: BTreeMap::new(),
            delayed: BTreeMap::new(),
            cron: BTreeMap::new(),
            own_code: Vec::new(),
            batch_consumers: BTreeSet::new(),
            doubles: Vec::new(),
        }
    }

    pub(crate) fn consumer(
        &mut self,
        exec_cmd: String,
        bind: impl FnOnce(C) -> Consumer + 'static,
    ) {
        let earlier = self.consumers.insert(exec_cmd.clone(), Box::new(bind));
        self.note("consumer", exec_cmd, earlier.is_some());
    }

    pub(crate) fn batch_consumer(
        &mut self,
        exec_cmd: String,
        bind: impl FnOnce(C) -> BatchHandler + 'static,
    ) {
        self.batch_consumers.insert(exec_cmd.clone());
        self.consumer(exec_cmd, |context| Consumer::Batch(bind(context)));
    }

    pub(crate) fn delayed(
        &mut self,
        exec_cmd: String,
        bind: impl FnOnce(C) -> Handler<Task, Value> + 'static,
    ) {
        let earlier = self.delayed.insert(exec_cmd.clone(), Box::new(bind));
        self.note("delayed task", exec_cmd, earlier.is_some());
    }

    pub(crate) fn cron(
        &mut self,
        exec_cmd: String,
        bind: impl FnOnce(C) -> Handler<Run, Value> + 'static,
    ) {
        let earlier = self.cron.insert(exec_cmd.clone(), Box::new(bind));
        self.note("cron job", exec_cmd, earlier.is_some());
    }

    pub(crate) fn own_code(&mut self, bind: impl FnOnce(C) -> OwnCode + 'static) {
        self.own_code.push(Box::new(bind));
    }

    fn note(&mut self, kind: &str, exec_cmd: String, double: bool) {
        if double {
            self.doubles.push(format!(
                "two handlers are registered as {kind} `{exec_cmd}`"
            ));
        }
    }

    /// Faults of the program itself.
    pub(crate) fn doubles(&self) -> &[String] {
        &self.doubles
    }

    /// The names, for the configuration to be checked against.
    pub(crate) fn commands(&self) -> Commands {
        Commands {
            consumers: self.consumers.keys().cloned().collect(),
            batch_consumers: self.batch_consumers.clone(),
            delayed: self.delayed.keys().cloned().collect(),
            cron: self.cron.keys().cloned().collect(),
        }
    }

    /// Gives every handler the context.
    pub(crate) fn bind(self, context: &C) -> Handlers {
        Handlers {
            consumers: bind_all(self.consumers, context),
            delayed: bind_all(self.delayed, context),
            cron: bind_all(self.cron, context),
            own_code: self
                .own_code
                .into_iter()
                .map(|bind| bind(context.clone()))
                .collect(),
        }
    }
}

fn bind_all<C: Clone, H>(
    handlers: BTreeMap<String, Unbound<C, H>>,
    context: &C,
) -> BTreeMap<String, H> {
    handlers
        .into_iter()
        .map(|(name, bind)| (name, bind(context.clone())))
        .collect()
}

/// All handlers of the program, ready to be called.
pub(crate) struct Handlers {
    pub(crate) consumers: BTreeMap<String, Consumer>,
    pub(crate) delayed: BTreeMap<String, Handler<Task, Value>>,
    pub(crate) cron: BTreeMap<String, Handler<Run, Value>>,
    pub(crate) own_code: Vec<OwnCode>,
}

/// Code of the program that is no handler: it runs as long as the daemon does.
#[derive(Clone)]
pub(crate) struct OwnCode {
    /// Where it was registered, for the log.
    pub(crate) place: String,
    pub(crate) handler: Handler<(), ()>,
}
