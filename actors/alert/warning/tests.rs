//! What is counted while no database is there, and what its awaiter learns.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::counter::Counter;
use super::*;

fn pay() -> Warning {
    Warning::new("pay").period(100, 60)
}

fn add(counter: &Counter) -> Added {
    counter.add(&pay(), 1, Vec::new())
}

/// As an awaiter has it: an end, within a bound.
async fn awaited(added: Added) -> Result<(), WarningError> {
    timeout(Duration::from_secs(20), added).await.unwrap()
}

#[actix_rt::test]
async fn awaiting_without_a_daemon_is_an_error() {
    let counter = Counter::new();
    assert_eq!(awaited(add(&counter)).await, Err(WarningError::NotRunning));
    assert_eq!(add(&counter).wait(), Err(WarningError::NotRunning));
}

#[actix_rt::test]
async fn who_waits_when_the_start_fails_learns_it() {
    let counter = Counter::new();
    let before = add(&counter);
    counter.begin();
    let blocked = {
        let added = add(&counter);
        std::thread::spawn(move || added.wait())
    };
    let awaiting = actix_rt::spawn(awaited(add(&counter)));
    counter.finish(Instant::now()).await;
    assert_eq!(awaiting.await.unwrap(), Err(WarningError::Stopped));
    assert_eq!(blocked.join().unwrap(), Err(WarningError::Stopped));
    assert_eq!(awaited(before).await, Err(WarningError::Stopped));
    assert_eq!(awaited(add(&counter)).await, Err(WarningError::Stopped));
}

#[actix_rt::test]
async fn a_wrong_count_is_always_an_error() {
    let counter = Counter::new();
    let invalid = Warning::new("pay").period(0, 60);
    let added = awaited(counter.add(&invalid, 1, Vec::new())).await;
    assert!(
        matches!(added, Err(WarningError::Invalid { .. })),
        "{added:?}"
    );
}

#[test]
fn an_added_that_is_dropped_while_it_waits_leaves_the_others() {
    let counter = Counter::new();
    counter.begin();
    let mut dropped = add(&counter);
    let waker = futures_util::task::noop_waker();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(
        std::pin::Pin::new(&mut dropped)
            .poll(&mut context)
            .is_pending()
    );
    drop(dropped);
    let kept = add(&counter);
    let waits = std::thread::spawn(move || kept.wait());
    actix_rt::System::new().block_on(counter.finish(Instant::now()));
    assert_eq!(waits.join().unwrap(), Err(WarningError::Stopped));
}
