//! Handlers that fail, panic or hang.

use std::future::pending;

use super::*;
use crate::job::{Handler, JobError, Message};
use crate::testing_support::Crowd;

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
async fn nothing_overtakes_a_retried_ordered_message() {
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
async fn neighbours_run_what_a_hanging_handler_blocks() {
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
async fn an_overrunning_blocking_handler_keeps_its_consumer() {
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
