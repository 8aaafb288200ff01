//! How much is fetched, and what a batch handler gets.

use super::*;
use crate::job::JobError;

/// Ends gather before they are settled, and the clock's steps are milliseconds.
const SETTLING: Duration = Duration::from_millis(5);

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
async fn quiet_releases_a_filling_batch() {
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
