//! Lets a suspect run alone.
//!
//! A job whose attempt ended the process may do so again. While it runs, nothing else of its queue runs in this
//! process, so that no neighbour is in flight if the process goes down with it. Both waits are bounded: a neighbour
//! that hangs must not keep a suspect waiting for ever, nor a suspect that takes hours its neighbours.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The longest that a suspect waits for its neighbours to end; then it runs beside those that are left.
const WAIT_TO_BE_ALONE: Duration = Duration::from_secs(10);
/// What is going to end the process mostly does so early; after this long the neighbours go on beside it.
const STAY_ALONE: Duration = Duration::from_secs(60);

/// One per pool, and one per kind of delayed task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quarantine {
    lock: Arc<RwLock<()>>,
    /// Suspects that wait to be alone.
    waiting: Arc<AtomicUsize>,
}

/// A suspect waits, until this is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Quarantines by name: a suspect holds up only its own kind.
#[derive(Debug, Default)]
pub(crate) struct Quarantines {
    by_name: Mutex<HashMap<String, Quarantine>>,
}

impl Quarantines {
    pub(crate) fn of(&self, name: &str) -> Quarantine {
        let mut quarantines = self.by_name.lock();
        match quarantines.get(name) {
            Some(quarantine) => quarantine.clone(),
            None => quarantines.entry(name.to_owned()).or_default().clone(),
        }
    }
}

/// The right to run; ends when dropped.
#[derive(Debug)]
pub(crate) enum QuarantineGuard {
    Shared {
        _guard: OwnedRwLockReadGuard<()>,
    },
    Exclusive {
        _guard: OwnedRwLockWriteGuard<()>,
    },
    /// Nobody left in time.
    Late,
}

impl Quarantine {
    /// Waits for the right to run.
    pub(crate) async fn enter(&self, suspect: bool) -> QuarantineGuard {
        let lock = Arc::clone(&self.lock);
        if !suspect {
            let _guard = lock.read_owned().await;
            return QuarantineGuard::Shared { _guard };
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waits = Waits(&self.waiting);
        match tokio::time::timeout(WAIT_TO_BE_ALONE, lock.write_owned()).await {
            Ok(_guard) => QuarantineGuard::Exclusive { _guard },
            Err(_) => QuarantineGuard::Late,
        }
    }

    /// Whether a suspect waits: a guard that is kept from one job to the next is dropped then.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// Runs the job under its guard. A suspect's right to be alone ends after a while; the job goes on.
pub(crate) async fn alone_at_first<T>(guard: QuarantineGuard, job: impl Future<Output = T>) -> T {
    if !matches!(guard, QuarantineGuard::Exclusive { .. }) {
        let ended = job.await;
        drop(guard);
        return ended;
    }
    let mut job = std::pin::pin!(job);
    tokio::select! {
        ended = &mut job => return ended,
        () = tokio::time::sleep(STAY_ALONE) => drop(guard),
    }
    job.await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_suspect_runs_alone() {
        let quarantine = Quarantine::default();
        let neighbour = quarantine.enter(false).await;
        assert!(!quarantine.is_wanted());
        let mut suspect = Box::pin(quarantine.enter(true));
        assert!((&mut suspect).now_or_never().is_none());
        assert!(quarantine.is_wanted());
        drop(neighbour);
        let alone = suspect.await;
        assert!(!quarantine.is_wanted());
        assert!(matches!(alone, QuarantineGuard::Exclusive { .. }));
        assert!(quarantine.enter(false).now_or_never().is_none());
        drop(alone);
        assert!(quarantine.enter(false).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_neighbour_does_not_hold_a_suspect_for_ever() {
        let quarantine = Quarantine::default();
        let _hangs = quarantine.enter(false).await;
        assert!(matches!(
            quarantine.enter(true).await,
            QuarantineGuard::Late
        ));
        assert!(quarantine.enter(false).now_or_never().is_some());
    }
}
