//! What the author of a program touches: [`App`], where handlers are registered, and the [`Context`] that they receive.

mod context;
mod harness;
mod recorded_pushes;
mod redis_pools;
mod register;
pub(crate) mod services;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

pub use self::context::{Context, Database, Pooled};
pub use self::harness::Harness;
use crate::config::Settings;
use crate::job::{BoxError, Registry};

/// Makes the user's state.
pub(crate) type Init<S> = Box<dyn FnOnce(Settings) -> LocalBoxFuture<'static, Result<S, BoxError>>>;

/// A program: handlers by name, and the command line that runs them.
///
/// ```no_run
/// use simplest_script::{App, Context, JobResult, Message, Run, Task};
///
/// async fn orders(message: Message, ctx: Context) -> JobResult {
///     println!("{} bytes", message.payload.len());
///     ctx.push(vec![]).await?;
///     Ok(())
/// }
///
/// async fn remind(task: Task, _: Context) -> JobResult<String> {
///     Ok(format!("reminded {}", task.params))
/// }
///
/// async fn report(run: Run, _: Context) -> JobResult<usize> {
///     Ok(run.params.len())
/// }
///
/// fn main() -> std::process::ExitCode {
///     App::new()
///         .consumer("orders", orders)
///         .delayed("remind", remind)
///         .cron("report", report)
///         .main()
/// }
/// ```
pub struct App<S = ()> {
    pub(crate) registry: Registry<Context<S>>,
    pub(crate) init: Init<S>,
}

impl App {
    /// A program whose handlers share no state of their own.
    pub fn new() -> Self {
        Self::with_state(|_| async { Ok(()) })
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// A program whose handlers share a state, found in [`Context::state`]. It is made once, when the runtime is there
    /// and before any handler runs; an error ends the program with exit status 1.
    ///
    /// ```no_run
    /// use simplest_script::{App, Context, JobResult, Message};
    ///
    /// struct State { shop: String }
    ///
    /// async fn orders(_: Message, ctx: Context<State>) -> JobResult {
    ///     println!("an order for {}", ctx.state().shop);
    ///     Ok(())
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     App::with_state(|settings| async move {
    ///             let shop = settings.app::<serde_json::Value>()?["shop"].to_string();
    ///             Ok(State { shop })
    ///         })
    ///         .consumer("orders", orders)
    ///         .main()
    /// }
    /// ```
    pub fn with_state<F, Fut>(init: F) -> Self
    where
        F: FnOnce(Settings) -> Fut + 'static,
        Fut: Future<Output = Result<S, BoxError>> + 'static,
    {
        Self {
            registry: Registry::new(),
            init: Box::new(|settings| init(settings).boxed_local()),
        }
    }
}
