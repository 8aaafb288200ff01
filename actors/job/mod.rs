//! Business code and how one piece of it is run.
//!
//! What handlers receive and answer, how they are registered by name, and the one place that runs them: time limit,
//! panics, and the slot that shows the next start what ended the process.

mod batch;
mod descriptors;
mod disposition;
mod error;
mod from_job;
pub(crate) mod guarded;
mod kinds;
mod registry;
mod retry;
mod run;

pub use self::batch::BatchOutcome;
pub(crate) use self::descriptors::excuse;
pub(crate) use self::disposition::{Disposition, settlements};
pub(crate) use self::error::Next;
pub use self::error::{BoxError, JobError, JobResult};
pub use self::from_job::{FromJob, Json};
pub use self::kinds::{Job, Message, MessageSource, Run, SourceKind, Task};
pub(crate) use self::registry::{
    BatchHandler, Consumer, Handler, Handlers, OwnCode, Registry, UnsharedClone,
};
pub(crate) use self::retry::{LONGEST as LONGEST_RETRY, USED_UP, after_failure, used_up};
pub(crate) use self::run::{run, run_batch, run_in};
