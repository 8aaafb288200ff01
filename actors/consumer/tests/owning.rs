//! No message starts that is not certainly owned.

use super::*;

#[actix::test]
async fn nothing_starts_while_the_ownership_is_uncertain() {
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
async fn what_others_took_over_is_released_and_never_starts() {
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
async fn a_stop_does_not_wait_for_an_uncertain_ownership() {
    let source = FakeSource::new();
    source.set_ownership(Ownership::Uncertain);
    source.offer([1]);
    let consumer = start(work(&source, noting(&Seen::new())));
    source.until(|s| s.out().len() == 1).await;
    consumer.quiet().await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release), [1]);
}
