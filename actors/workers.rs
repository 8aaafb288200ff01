//! The threads that run business code: one Arbiter each.
//!
//! A handler that blocks its thread may hold up its neighbours on that worker, never cron, timers or the stop: those are
//! on the System's thread. The threads are not joined at the end; a blocked one ends with the process.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_rt::{Arbiter, ArbiterHandle};

/// The worker Arbiters, taken in turn.
pub(crate) struct Workers {
    arbiters: Vec<ArbiterHandle>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts `count` workers; 0 means one per core. To be called on the System's thread.
    ///
    /// # Errors
    ///
    /// When the system has no more threads.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let arbiters = (0..count)
            .map(|_| Arbiter::try_new().map(|arbiter| arbiter.handle()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            arbiters,
            next: AtomicUsize::new(0),
        })
    }

    /// This thread as the only worker, so that a test and what it tests share one clock.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self {
            arbiters: vec![Arbiter::current()],
            next: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.arbiters.len()
    }

    /// Deals these out, one to each in turn. Handing a worker its share at once costs it one wake-up.
    pub(crate) fn deal<T>(
        &self,
        items: impl IntoIterator<Item = T>,
    ) -> Vec<(ArbiterHandle, Vec<T>)> {
        let mut shares: Vec<Vec<T>> = Vec::new();
        shares.resize_with(self.arbiters.len(), Vec::new);
        let mut dealt = 0;
        for item in items {
            shares[dealt % self.arbiters.len()].push(item);
            dealt += 1;
        }
        let first = self.next.fetch_add(dealt, Ordering::Relaxed);
        let taken = shares.into_iter().filter(|share| !share.is_empty());
        let place = |at: usize| self.arbiters[(first + at) % self.arbiters.len()].clone();
        taken
            .enumerate()
            .map(|(at, share)| (place(at), share))
            .collect()
    }

    /// The next one in turn.
    pub(crate) fn next(&self) -> ArbiterHandle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.arbiters[turn % self.arbiters.len()].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn workers_are_dealt_even_shares_in_turn() {
        let workers = Workers::start(3).unwrap();
        let shares = |items: std::ops::Range<i32>| {
            let dealt = workers.deal(items).into_iter();
            dealt.map(|(_, share)| share).collect::<Vec<_>>()
        };
        assert_eq!(shares(0..7), [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert_eq!(shares(0..2), [vec![0], vec![1]]);
        assert!(shares(0..0).is_empty());
        // Nine were dealt: the next one is the first worker's again.
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..2 {
            for (worker, share) in workers.deal(0..3) {
                let sender = sender.clone();
                worker.spawn_fn(move || {
                    let _ = sender.send((std::thread::current().id(), share));
                });
            }
        }
        let mut ran: Vec<_> = (0..6).map(|_| receiver.recv().unwrap()).collect();
        ran.sort_by_key(|(_, share)| share.clone());
        for same in ran.chunks(2) {
            assert_eq!(same[0].0, same[1].0, "the same worker each time");
        }
    }
}
