//! Messages that may have ended a process run alone, or not at all.

use super::*;

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
async fn used_up_attempts_make_a_dead_letter_unrun() {
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
async fn a_message_lost_in_quarantine_does_not_start() {
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
