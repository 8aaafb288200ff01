//! The consumer's loop against a scripted queue, on a paused clock.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::{ConsumerActor, Crash, Work};
use crate::job::{Consumer, Disposition, Handler, JobError, Message};
use crate::membership::Ownership;
use crate::orders::{PauseKind, Pauses};
use crate::stop::StopSignal;
use crate::store::rows::PauseRow;
use crate::testing_support::{
    Barrier, Crowd, Deaths, FakeSource, Seen, batch, settle_down, single, work,
};

/// Ends gather before they are settled, and the clock's steps are milliseconds.
const SETTLING: Duration = Duration::from_millis(5);

/// A consumer and what its owner knows of it.
struct Started {
    addr: Addr<ConsumerActor>,
    stop: StopSignal,
    deaths: Deaths,
    /// Its pool's life.
    pool: StopSignal,
}

fn start(work: Work) -> Started {
    tokio::time::pause();
    start_another(work)
}

/// The clock is paused already.
fn start_another(work: Work) -> Started {
    let (deaths, pool) = (Deaths::new(), StopSignal::new());
    let stop = StopSignal::new();
    let addr = ConsumerActor::new(work, stop.clone(), pool.listen(), deaths.notice()).start();
    Started {
        addr,
        stop,
        deaths,
        pool,
    }
}

impl Started {
    async fn quiet(&self) {
        self.stop.quiet();
        self.deaths.wait_for(1).await;
    }
}

/// A fetch that was under way may take some of them once more, and gives them back as well.
async fn all_given_back(source: &FakeSource, ids: &[i64]) {
    let back = |source: &FakeSource| {
        let given_back = source.ended(&Disposition::Release);
        source.out().is_empty() && ids.iter().all(|id| given_back.contains(id))
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

#[actix::test]
async fn a_consumer_works_until_it_gets_quiet() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let consumer = start(work(&source, noting(&seen)));
    source.offer([1, 2, 3]);
    source.until_done(3).await;
    assert_eq!(seen.all(), ["1", "2", "3"]);
    consumer.quiet().await;
    assert!(!consumer.addr.connected());
    source.offer([4]);
    settle_down().await;
    assert_eq!(seen.len(), 3, "nobody works any more");
}

/// A queue `q` that follows the rows of pauses.
fn pausable(work: Work) -> (Pauses, Work) {
    let pauses = Pauses::default();
    let paused = pauses.flag(PauseKind::Queue, "q");
    (pauses, Work { paused, ..work })
}

fn pause_of_q() -> Vec<PauseRow> {
    vec![PauseRow {
        kind: "queue".to_owned(),
        name: "q".to_owned(),
        since_ms: 0,
        until_ms: None,
        ordered_by: "ann".to_owned(),
    }]
}

#[actix::test]
async fn a_pause_ends_what_runs_and_gives_back_the_rest_until_the_resume() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let (pauses, work) = pausable(work(&source, held_up(&seen, &barrier)));
    let consumer = start(work);
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    pauses.learn(pause_of_q());
    settle_down().await;
    barrier.open();
    source.until_done(1).await;
    all_given_back(&source, &[2, 3, 4, 5]).await;
    settle_down().await;
    assert_eq!(seen.len(), 1, "nothing starts while it is paused");
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    assert!(
        source.out().is_empty(),
        "nothing is held while it is paused"
    );
    pauses.learn(Vec::new());
    source.until_done(5).await;
    assert_eq!(seen.len(), 5);
    consumer.quiet().await;
}

#[actix::test]
async fn what_is_fetched_while_a_pause_begins_is_given_back() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting(&seen)));
    let consumer = start(work);
    settle_down().await;
    // The fetch that waits now brings it.
    pauses.learn(pause_of_q());
    source.offer([1]);
    settle_down().await;
    assert_eq!(seen.len(), 0);
    pauses.learn(Vec::new());
    source.until_done(1).await;
    consumer.quiet().await;
}

#[actix::test]
async fn a_batch_handler_rests_while_its_queue_is_paused() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting_batches(&seen)));
    pauses.learn(pause_of_q());
    source.offer([1, 2, 3]);
    let consumer = start(work);
    settle_down().await;
    assert_eq!(seen.len(), 0);
    pauses.learn(Vec::new());
    source.until_done(3).await;
    assert_eq!(sizes(&seen).iter().sum::<usize>(), 3);
    consumer.quiet().await;
}

#[actix::test]
async fn a_stop_ends_a_consumer_of_a_paused_queue() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting(&seen)));
    pauses.learn(pause_of_q());
    let consumer = start(work);
    settle_down().await;
    consumer.quiet().await;
    assert!(!consumer.addr.connected());
}

#[actix::test]
async fn quiet_ends_what_runs_and_gives_back_the_rest() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let consumer = start(work(&source, held_up(&seen, &barrier)));
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    consumer.stop.quiet();
    consumer.stop.quiet();
    settle_down().await;
    assert_eq!(consumer.deaths.count(), 0, "message 1 still runs");
    barrier.open();
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    let mut given_back = source.ended(&Disposition::Release);
    given_back.sort_unstable();
    assert_eq!(given_back, [2, 3, 4, 5]);
    assert_eq!(seen.len(), 1);
}

#[actix::test]
async fn a_stop_gives_back_what_still_runs_at_its_deadline() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2]);
    let consumer = start(work(&source, held_up(&seen, &Barrier::closed())));
    seen.wait_for(1).await;
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(5);
    consumer.stop.stop(deadline);
    let later = begun + Duration::from_secs(50);
    consumer.stop.stop(later);
    consumer.deaths.wait_for(1).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release).len(), 2);
}

#[actix::test]
async fn a_stop_before_anything_came_ends_at_once() {
    let source = FakeSource::new();
    let consumer = start(work(&source, noting(&Seen::new())));
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(25);
    consumer.stop.stop(deadline);
    consumer.deaths.wait_for(1).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn a_consumer_without_its_pool_ends_after_the_message_that_runs() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2]);
    let consumer = start(work(&source, held_up(&seen, &barrier)));
    seen.wait_for(1).await;
    drop(consumer.pool);
    settle_down().await;
    barrier.open();
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    assert_eq!(source.ended(&Disposition::Release), [2]);
}

#[actix::test]
async fn a_crash_gives_back_everything_that_was_held() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let consumer = start(work(&source, held_up(&seen, &Barrier::closed())));
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release).len(), 5);
}

#[actix::test]
async fn a_crash_loses_no_end_that_waits_to_be_written() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.settling.close();
    // More than may wait to be written: the last ones are in the loop's own hands.
    for portion in 0..6 {
        source.offer(portion * 200..(portion + 1) * 200);
    }
    let consumer = start(work(&source, noting(&seen)));
    seen.wait_for(501).await;
    settle_down().await;
    let ran = seen.len();
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    source.settling.open();
    source.until(|s| s.out().is_empty()).await;
    let done = source.ended(&Disposition::Complete).len();
    assert!(
        done + 1 >= ran,
        "{ran} ran, {done} are done: at most the last one runs again"
    );
}

#[actix::test]
async fn a_crash_while_a_batch_fills_gives_it_back() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2, 3]);
    let mut work = work(&source, noting_batches(&seen));
    work.batch.wait = Duration::from_secs(60);
    let consumer = start(work);
    source.until(|s| s.out().len() == 3).await;
    settle_down().await;
    assert_eq!(seen.len(), 0, "it waits for more");
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    all_given_back(&source, &[1, 2, 3]).await;
}

#[actix::test]
async fn a_crash_while_the_standing_is_unsure_gives_back() {
    tokio::time::pause();
    for handler in [noting(&Seen::new()), noting_batches(&Seen::new())] {
        let source = FakeSource::new();
        source.set_ownership(Ownership::Uncertain);
        source.offer([1, 2]);
        let mut work = work(&source, handler);
        work.batch.wait = Duration::ZERO;
        let consumer = start_another(work);
        source.until(|s| s.out().len() == 2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        consumer.addr.do_send(Crash);
        consumer.deaths.wait_for(1).await;
        all_given_back(&source, &[1, 2]).await;
    }
}

#[actix::test]
async fn nothing_starts_while_the_standing_is_unsure() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.set_ownership(Ownership::Uncertain);
    source.offer([1]);
    let consumer = start(work(&source, noting(&seen)));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.len(), 0);
    source.set_ownership(Ownership::Held);
    source.until_done(1).await;
    consumer.quiet().await;
}

#[actix::test]
async fn what_others_took_over_is_given_back_and_never_starts() {
    tokio::time::pause();
    let (singles, batches) = (Seen::new(), Seen::new());
    for handler in [noting(&singles), noting_batches(&batches)] {
        let source = FakeSource::new();
        source.set_ownership(Ownership::Lost);
        source.offer([1, 2]);
        let work = work(&source, handler);
        let state = Arc::clone(&work.state);
        let consumer = start_another(work);
        source
            .until(|s| s.ended(&Disposition::Release).len() >= 2)
            .await;
        consumer.quiet().await;
        let counts = state.counts();
        assert!(counts.released >= 2, "{counts:?}");
        assert_eq!(counts.handler.count(), 0, "no handler was called");
    }
    assert_eq!((singles.len(), batches.len()), (0, 0));
}

#[actix::test]
async fn a_stop_does_not_wait_for_an_unsure_standing() {
    let source = FakeSource::new();
    source.set_ownership(Ownership::Uncertain);
    source.offer([1]);
    let consumer = start(work(&source, noting(&Seen::new())));
    source.until(|s| s.out().len() == 1).await;
    consumer.quiet().await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release), [1]);
}

#[actix::test]
async fn failures_are_retried_and_then_dead() {
    let source = FakeSource::new();
    source.offer([1]);
    let consumer = start(work(
        &source,
        single(|message| async move { Err(format!("no {}", message.attempt).into()) }),
    ));
    source.until(|s| s.ends().len() == 3).await;
    let ends = source.ends();
    assert!(
        matches!(ends[0].1, Disposition::Retry(_)) && matches!(ends[1].1, Disposition::Retry(_))
    );
    let dead = Disposition::DeadLetter {
        error: "no 3".to_owned(),
        attempts: 3,
    };
    assert_eq!(ends[2], (1, dead));
    consumer.quiet().await;
}

#[actix::test]
async fn where_order_counts_nothing_overtakes_a_message_that_runs_again() {
    tokio::time::pause();
    let (singles, batches) = (Seen::new(), Seen::new());
    let failing_once = |seen: &Seen<String>| {
        let seen = seen.clone();
        move |message: &Message| {
            seen.note(message.id.clone());
            let fails = message.id == "2" && message.attempt == 1;
            if fails { Err("not yet".into()) } else { Ok(()) }
        }
    };
    let run = failing_once(&singles);
    let single = single(move |message| std::future::ready(run(&message)));
    let run = failing_once(&batches);
    let batch =
        batch(move |messages| std::future::ready(messages.iter().map(&run).collect::<Vec<_>>()));
    for handler in [single, batch] {
        let source = FakeSource::new();
        source.keep_order();
        source.offer([1, 2, 3, 4, 5]);
        let mut work = work(&source, handler);
        // Two batches of what was fetched at once.
        work.batch.size = std::num::NonZeroU32::new(3).unwrap();
        let consumer = start_another(work);
        source.until_done(5).await;
        consumer.quiet().await;
    }
    assert_eq!(singles.all(), ["1", "2", "2", "3", "4", "5"]);
    assert_eq!(batches.all(), ["1", "2", "3", "2", "4", "5"]);
}

#[actix::test]
async fn a_discard_is_dead_at_once() {
    let source = FakeSource::new();
    source.offer([1]);
    let consumer = start(work(
        &source,
        single(|_| async { Err(JobError::discard("never")) }),
    ));
    source.until(|s| s.ends().len() == 1).await;
    assert!(matches!(
        &source.ends()[0].1,
        Disposition::DeadLetter { attempts: 1, .. }
    ));
    consumer.quiet().await;
}

#[actix::test]
async fn a_handler_that_panics_fails_and_its_consumer_lives_on() {
    let source = FakeSource::new();
    source.offer([1, 2]);
    let consumer = start(work(
        &source,
        single(|message| async move {
            assert!(message.id != "1" || message.attempt > 1, "boom");
            Ok(())
        }),
    ));
    source.until_done(2).await;
    assert_eq!(source.ended(&Disposition::Complete), [2, 1]);
    assert_eq!(consumer.deaths.count(), 0);
    consumer.quiet().await;
}

#[actix::test]
async fn a_handler_that_hangs_is_ended_by_its_timeout() {
    let source = FakeSource::new();
    source.offer([1, 2]);
    let handler = single(|message| async move {
        if message.id == "1" {
            pending::<()>().await;
        }
        Ok(())
    });
    let mut work = work(&source, handler);
    work.timeout = Some(Duration::from_secs(30));
    let consumer = start(work);
    let begun = Instant::now();
    source.until_done(1).await;
    assert_eq!(begun.elapsed().as_secs(), 30);
    // What waited behind it was free for others meanwhile.
    let mut ends = source.ends();
    assert_eq!(ends.pop(), Some((2, Disposition::Complete)));
    assert!(matches!(ends.pop(), Some((1, Disposition::Retry(_)))));
    assert!(!ends.is_empty() && ends.iter().all(|end| *end == (2, Disposition::Release)));
    consumer.quiet().await;
}

#[actix::test]
async fn what_waits_behind_a_handler_that_hangs_is_run_by_its_neighbours() {
    let source = FakeSource::new();
    source.offer(1..=10);
    source.offer(11..=20);
    let handler = single(|message| async move {
        if message.id == "1" {
            pending::<()>().await;
        }
        Ok(())
    });
    let hangs = start(work(&source, handler.clone()));
    source.until(|s| s.asked().len() >= 2).await;
    let neighbour = start_another(work(&source, handler));
    let begun = Instant::now();
    source.until_done(19).await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(source.out(), [1]);
    neighbour.quiet().await;
    let deadline = Instant::now();
    hangs.stop.stop(deadline);
    hangs.deaths.wait_for(1).await;
}

#[actix::test]
async fn a_blocking_handler_that_overruns_keeps_its_consumer_until_it_returns() {
    let (source, crowd, ran) = (FakeSource::new(), Crowd::default(), Seen::new());
    source.offer([1, 2]);
    let (go, quarantine) = std::sync::mpsc::channel::<()>();
    let (quarantine, inside, noted) = (
        std::sync::Mutex::new(quarantine),
        crowd.clone(),
        ran.clone(),
    );
    let handler = Consumer::Single(Handler::Blocking(Arc::new(move |message| {
        let _inside = inside.enter();
        noted.note(message.id);
        quarantine.lock().unwrap().recv().unwrap();
        Ok(())
    })));
    let mut work = work(&source, handler);
    work.timeout = Some(Duration::from_nanos(1));
    work.retry.max_attempts = std::num::NonZeroU32::MIN;
    let consumer = start(work);
    ran.wait_for(1).await;
    settle_down().await;
    assert_eq!(
        (ran.len(), source.ends().len()),
        (1, 0),
        "it has not returned"
    );
    go.send(()).unwrap();
    ran.wait_for(2).await;
    go.send(()).unwrap();
    source.until(|s| s.ends().len() == 2).await;
    assert!(
        source
            .ends()
            .iter()
            .all(|(_, end)| matches!(end, Disposition::DeadLetter { .. }))
    );
    assert_eq!(crowd.most(), 1);
    consumer.quiet().await;
}

#[actix::test]
async fn ends_are_durable_while_a_slow_handler_runs() {
    let (source, barrier) = (FakeSource::new(), Barrier::closed());
    source.offer([1, 2, 3, 4]);
    let slow = barrier.clone();
    let consumer = start(work(
        &source,
        single(move |message| {
            let slow = slow.clone();
            async move {
                if message.id == "3" {
                    slow.pass().await;
                }
                Ok(())
            }
        }),
    ));
    source.until_done(2).await;
    assert_eq!(source.out(), [3, 4], "message 3 still runs");
    barrier.open();
    source.until_done(4).await;
    consumer.quiet().await;
}

#[actix::test]
async fn ends_become_durable_though_settling_fails_for_a_while() {
    let source = FakeSource::new();
    source.fail(3, 3);
    source.offer([1, 2]);
    let consumer = start(work(&source, noting(&Seen::new())));
    source.until_done(2).await;
    consumer.quiet().await;
    assert!(source.out().is_empty());
}

#[actix::test]
async fn a_consumer_ends_only_when_its_ends_are_durable() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.settling.close();
    source.offer([1]);
    let consumer = start(work(&source, noting(&seen)));
    seen.wait_for(1).await;
    consumer.stop.quiet();
    settle_down().await;
    assert_eq!(consumer.deaths.count(), 0);
    source.settling.open();
    consumer.deaths.wait_for(1).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
}

#[actix::test]
async fn slow_handlers_fetch_little_and_fast_ones_much() {
    let source = FakeSource::new();
    (0..40).for_each(|id| source.offer([id]));
    let consumer = start(work(
        &source,
        single(|_| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(())
        }),
    ));
    source.until_done(40).await;
    assert!(source.asked()[20..].iter().all(|max| *max == 1));
    consumer.quiet().await;
    let source = FakeSource::new();
    (0..40).for_each(|id| source.offer([id]));
    let consumer = start_another(work(&source, noting(&Seen::new())));
    source.until_done(40).await;
    assert_eq!(source.asked().last(), Some(&500));
    consumer.quiet().await;
}

#[actix::test]
async fn batches_are_full_where_there_are_messages() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer(0..10);
    source.offer(10..20);
    let consumer = start(work(&source, noting_batches(&seen)));
    let begun = Instant::now();
    source.until_done(20).await;
    assert_eq!(sizes(&seen), [10, 10]);
    assert!(begun.elapsed() < SETTLING, "a full batch waits for nothing");
    assert!(source.asked().iter().all(|max| *max == 10));
    consumer.quiet().await;
}

#[actix::test]
async fn a_batch_is_full_by_its_bytes_too() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    // Payloads of six bytes, and of eight.
    source.offer((0..7).chain([100, 101]));
    let mut work = work(&source, noting_batches(&seen));
    work.batch.bytes = 18;
    let consumer = start(work);
    source.until_done(9).await;
    assert_eq!(sizes(&seen), [3, 3, 2, 1]);
    consumer.quiet().await;
}

#[actix::test]
async fn a_batch_is_filled_up_for_batch_wait() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer(0..4);
    let consumer = start(work(&source, noting_batches(&seen)));
    source.until(|s| s.out().len() == 4).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    source.offer(4..7);
    source.until_done(7).await;
    assert_eq!(sizes(&seen), [7]);
    let begun = Instant::now();
    source.offer(7..8);
    source.until_done(8).await;
    let waited = Duration::from_millis(100);
    assert!((waited..waited + SETTLING).contains(&begun.elapsed()));
    consumer.quiet().await;
}

#[actix::test]
async fn a_quiet_while_a_batch_fills_gives_it_back() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2, 3]);
    let mut work = work(&source, noting_batches(&seen));
    work.batch.wait = Duration::from_secs(60);
    let consumer = start(work);
    source.until(|s| s.out().len() == 3).await;
    settle_down().await;
    consumer.quiet().await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release).len(), 3);
    assert_eq!(seen.len(), 0);
}

#[actix::test]
async fn a_stream_of_odd_portions_does_not_pile_up() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    // Each portion leaves a rest behind, over and over: no call may hold another one.
    let portions = 10_000;
    source.offer(0..1);
    (0..portions).for_each(|n| source.offer(1 + n * 2..3 + n * 2));
    let mut work = work(&source, noting_batches(&seen));
    work.batch.size = std::num::NonZeroU32::new(2).unwrap();
    let consumer = start(work);
    source
        .until(|s| s.ends().len() > usize::try_from(portions * 2).unwrap())
        .await;
    assert!(sizes(&seen)[..10_000].iter().all(|size| *size == 2));
    consumer.quiet().await;
}

#[actix::test]
async fn a_batch_answer_of_the_wrong_length_retries_all() {
    let source = FakeSource::new();
    source.offer([1, 2, 3]);
    let consumer = start(work(&source, batch(|_| async { vec![Ok(())] })));
    source.until(|s| s.ends().len() >= 3).await;
    let ends = source.ends();
    assert!(
        ends[..3]
            .iter()
            .all(|(_, end)| matches!(end, Disposition::Retry(_)))
    );
    consumer.quiet().await;
}

#[actix::test]
async fn each_message_of_a_batch_has_its_own_outcome() {
    let source = FakeSource::new();
    source.offer([1, 2, 3]);
    let consumer = start(work(
        &source,
        batch(|messages| async move {
            let outcome = |id: &str| match id {
                "2" => Err(JobError::discard("no")),
                _ => Ok(()),
            };
            messages.iter().map(|m| outcome(&m.id)).collect()
        }),
    ));
    source.until(|s| s.ends().len() == 3).await;
    assert_eq!(source.ended(&Disposition::Complete), [1, 3]);
    consumer.quiet().await;
}

#[actix::test]
async fn a_suspect_is_a_batch_of_its_own() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer_marked([(1, false), (2, false), (3, true), (4, true), (5, false)]);
    let consumer = start(work(&source, noting_batches(&seen)));
    source.until_done(5).await;
    assert_eq!(
        seen.all(),
        [vec!["1", "2"], vec!["3"], vec!["4"], vec!["5"]]
    );
    consumer.quiet().await;
}

#[actix::test]
async fn a_suspect_runs_when_no_neighbour_does() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    let shared = work(&source, held_up(&seen, &barrier));
    source.offer([1]);
    let first = start(shared.clone());
    seen.wait_for(1).await;
    source.offer_marked([(2, true)]);
    let second = start_another(shared);
    source.until(|s| s.out().len() == 2).await;
    settle_down().await;
    assert_eq!(seen.all(), ["1"]);
    barrier.open();
    source.until_done(2).await;
    first.quiet().await;
    second.quiet().await;
}

#[actix::test]
async fn a_fetch_that_ends_after_the_consumer_is_given_back() {
    let source = FakeSource::new();
    let consumer = start(work(&source, noting(&Seen::new())));
    settle_down().await;
    consumer.addr.do_send(Crash);
    // The fetch under way finds something before it sees the end.
    source.offer([1]);
    consumer.deaths.wait_for(1).await;
    settle_down().await;
    assert!(source.out().is_empty(), "{:?}", source.out());
}

#[actix::test]
async fn a_message_whose_attempts_are_used_up_is_a_dead_letter_without_a_run() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2]);
    // Attempts that another daemon counted, which did not know the limit.
    let failing = single(|_| async { Err("no".into()) });
    let mut generous = work(&source, failing);
    generous.retry.max_attempts = 9.try_into().unwrap();
    let first = start(generous);
    source.until(|s| s.ends().len() >= 6).await;
    first.quiet().await;
    let ran = source.ends().len();
    let mut strict = work(&source, noting(&seen));
    strict.retry.max_attempts = 1.try_into().unwrap();
    let state = Arc::clone(&strict.state);
    let second = start_another(strict);
    let dead = |s: &FakeSource| {
        let ends = s.ends();
        let dead = ends[ran..]
            .iter()
            .filter(|(_, end)| matches!(end, Disposition::DeadLetter { .. }));
        dead.count() == 2
    };
    source.until(dead).await;
    // None of them ended a process.
    let true_of_both = |end: &Disposition| {
        let Disposition::DeadLetter { error, attempts } = end else {
            return true;
        };
        let had = format!("it had {attempts}, and `max_attempts` is 1");
        error.contains(&had) && *attempts > 1
    };
    let ends = source.ends();
    assert!(
        ends[ran..].iter().all(|(_, end)| true_of_both(end)),
        "{ends:?}"
    );
    assert_eq!(seen.len(), 0);
    second.quiet().await;
    let counts = state.counts();
    assert_eq!((counts.dead_lettered, counts.handler.count()), (2, 0));
}

#[actix::test]
async fn what_is_lost_while_it_waits_at_the_gate_does_not_start() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer_marked([(1, true)]);
    let shared = work(&source, held_up(&seen, &barrier));
    let alone = start(shared.clone());
    source.until(|s| s.out() == [1]).await;
    seen.wait_for(1).await;
    source.offer([2]);
    let neighbour = start_another(shared);
    source.until(|s| s.out().contains(&2)).await;
    settle_down().await;
    source.set_ownership(Ownership::Lost);
    barrier.open();
    source
        .until(|s| s.ended(&Disposition::Release).contains(&2))
        .await;
    assert_eq!(seen.len(), 1);
    alone.quiet().await;
    neighbour.quiet().await;
}
