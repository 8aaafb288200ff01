//! The thread on which alerts and pings are sent.
//!
//! It is started by the first thing to send. Nothing else runs on it: a receiver that hangs, a slow name server or a
//! handshake keeps no fire, no heartbeat and no handler waiting.

use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::client::{Http, Transport};

/// Hands tasks over to the thread. The thread ends with the last copy.
#[derive(Clone, Default)]
pub(crate) struct Courier(Arc<Inner>);

#[derive(Default)]
struct Inner {
    thread: OnceLock<Option<Thread>>,
    http: OnceLock<Arc<Http>>,
}

struct Thread {
    handle: Handle,
    /// Dropped: the thread ends.
    _end: oneshot::Sender<()>,
}

impl Courier {
    /// Runs a task on the thread, without waiting. Returns whether there is a thread: one that does not start is a line in
    /// the log.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        match self.0.thread.get_or_init(started) {
            Some(thread) => {
                thread.handle.spawn(task);
                true
            }
            None => false,
        }
    }

    /// As on a machine that starts no more threads.
    #[cfg(test)]
    pub(super) fn without_thread() -> Self {
        let courier = Self::default();
        courier.0.thread.get_or_init(|| None);
        courier
    }

    /// The network.
    pub(super) fn transport(&self) -> Arc<dyn Transport> {
        let http = self.0.http.get_or_init(Arc::default);
        Arc::clone(http) as Arc<dyn Transport>
    }
}

fn started() -> Option<Thread> {
    let start = || -> std::io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || {
                // An error means that the last courier is gone, which ends the thread as well.
                let _ = runtime.block_on(ended);
                // A name server that does not answer must not keep the process.
                runtime.shutdown_background();
            })?;
        Ok(Thread { handle, _end: end })
    };
    match start() {
        Ok(thread) => Some(thread),
        Err(cause) => {
            log::error!(
                "no alert and no ping is sent: the thread for them does not start: {cause}"
            );
            None
        }
    }
}
