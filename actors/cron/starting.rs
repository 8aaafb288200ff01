//! What is being started, for a stop.

use tokio::sync::watch;

/// Counts the fires that may have their row and do not have their process yet.
#[derive(Clone, Default)]
pub(crate) struct StartingFires(watch::Sender<usize>);

/// A fire that is being started, until this is dropped.
pub(super) struct Starting(watch::Sender<usize>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.send_modify(|fires| *fires -= 1);
    }
}

impl StartingFires {
    pub(super) fn begin(&self) -> Starting {
        self.0.send_modify(|fires| *fires += 1);
        Starting(self.0.clone())
    }

    /// Waits until every fire that has begun has its process, or its end.
    pub(super) fn all_started(&self) -> impl Future<Output = ()> + use<> {
        let mut starting = self.0.subscribe();
        async move {
            // An error means that nobody can begin any more.
            let _ = starting.wait_for(|fires| *fires == 0).await;
        }
    }
}
