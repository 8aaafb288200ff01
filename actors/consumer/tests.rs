//! The consumer's loop against a scripted queue, on a paused clock.

mod batching;
mod crashing;
mod failing;
mod owning;
mod pausing;
mod settling;
mod stopping;
mod suspects;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::{ConsumerActor, Work};
use crate::job::{Consumer, Disposition};
use crate::membership::Ownership;
use crate::stop::StopSignal;
use crate::testing_support::{Barrier, Deaths, FakeSource, Seen, batch, settle_down, single, work};

/// A consumer and what its owner knows of it.
struct Started {
    addr: Addr<ConsumerActor>,
    /// Its pool has it.
    stop: StopSignal,
    deaths: Deaths,
}

fn start(work: Work) -> Started {
    tokio::time::pause();
    start_another(work)
}

/// The clock is paused already.
fn start_another(work: Work) -> Started {
    let (stop, deaths) = (StopSignal::new(), Deaths::new());
    let addr = ConsumerActor::new(work, stop.listen(), deaths.notice()).start();
    Started { addr, stop, deaths }
}

impl Started {
    async fn quiet(&self) {
        self.stop.quiet();
        self.deaths.wait_for(1).await;
    }
}

/// A fetch that was under way may take some of them once more, and releases them as well.
async fn all_released(source: &FakeSource, ids: &[i64]) {
    let back = |source: &FakeSource| {
        let released = source.ended(&Disposition::Release);
        source.out().is_empty() && ids.iter().all(|id| released.contains(id))
    };
    source.until(back).await;
}

/// A handler that notes what it is given and then waits at a barrier.
fn held_up(seen: &Seen<String>, barrier: &Barrier) -> Consumer {
    let (seen, barrier) = (seen.clone(), barrier.clone());
    single(move |message| {
        let (seen, barrier) = (seen.clone(), barrier.clone());
        async move {
            seen.note(message.id);
            barrier.pass().await;
            Ok(())
        }
    })
}

fn noting(seen: &Seen<String>) -> Consumer {
    let open = Barrier::closed();
    open.open();
    held_up(seen, &open)
}

/// A batch handler that notes the numbers it is given.
fn noting_batches(seen: &Seen<Vec<String>>) -> Consumer {
    let seen = seen.clone();
    batch(move |messages| {
        let ids: Vec<String> = messages.into_iter().map(|m| m.id).collect();
        let n = ids.len();
        seen.note(ids);
        async move { (0..n).map(|_| Ok(())).collect() }
    })
}

fn sizes(seen: &Seen<Vec<String>>) -> Vec<usize> {
    seen.all().iter().map(Vec::len).collect()
}
