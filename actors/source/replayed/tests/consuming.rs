//! A consumer of replayed dead letters.

use super::*;
use crate::testing_support::{Seen, single, work};

#[actix::test]
async fn a_consumer_retries_dead_letters_by_the_rules_of_the_entry_and_keeps_their_old_name() {
    let world = World::start().await;
    let seen = Seen::new();
    let handler = {
        let seen = seen.clone();
        single(move |message| {
            seen.note((message.id.clone(), message.attempt));
            async move {
                match &message.payload[..] {
                    b"bad" => Err("still bad".into()),
                    _ => Ok(()),
                }
            }
        })
    };
    let work = crate::consumer::Work {
        source: Arc::<Replayed>::clone(&world.source),
        ..work(&world.queue, handler)
    };
    let stop = world.stop.listen();
    let consumer = actix_rt::spawn(work.run(stop));
    world.replay(&["bad", "good"]).await;
    world.queue.offer([1]);
    seen.wait_for(5).await;
    soon(async {
        while world.rows() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    world.stop.quiet();
    soon(consumer).await.unwrap();
    let mut seen = seen.all();
    seen.sort();
    let bad = |attempt| ("id of bad".to_owned(), attempt);
    let one = |id: &str| (id.to_owned(), 1);
    assert_eq!(seen, [one("1"), bad(1), bad(2), bad(3), one("id of good")]);
    let dead_letters = world
        .db
        .db
        .reader()
        .dead_letters(DeadLetterFilter::default(), 9);
    let dead_letters = dead_letters.await.unwrap();
    assert_eq!(dead_letters.len(), 1);
    let dead_letter = &dead_letters[0];
    assert_eq!(
        (dead_letter.kind.as_str(), dead_letter.source.as_str()),
        ("redis", "list")
    );
    assert_eq!(
        (dead_letter.original_id.as_str(), dead_letter.attempts),
        ("id of bad", 3)
    );
    assert_eq!(
        (dead_letter.first_ms, dead_letter.error.as_str()),
        (7, "still bad")
    );
    assert_eq!(world.queue.ended(&Disposition::Complete), [1]);
}

#[actix::test]
async fn a_queue_that_has_no_work_for_this_process_leaves_a_consumer_for_its_dead_letters() {
    let world = World::start().await;
    world.queue.set_limit(0, 8);
    let mut limit = world.source.limit().unwrap();
    let nobody = Limit {
        useful: 0,
        ceiling: 8,
    };
    assert_eq!(*limit.borrow_and_update(), nobody);
    world.replay(&["a"]).await;
    let one = Limit {
        useful: 1,
        ..nobody
    };
    assert_eq!(*soon(limit.wait_for(|now| *now == one)).await.unwrap(), one);
    world.queue.set_limit(4, 8);
    soon(limit.wait_for(|now| now.useful == 4)).await.unwrap();
    world.queue.set_limit(0, 8);
    let fetched = world.fetch(9).await;
    assert_eq!(payloads(&fetched), ["a"]);
    world.stop.quiet();
    assert!(world.fetch(9).await.is_empty());
}

#[actix::test]
async fn a_dead_letter_of_an_earlier_life_does_not_start() {
    let world = World::start().await;
    world.replay(&["a"]).await;
    let fetched = world.fetch(1).await.remove(0);
    assert_eq!(world.source.ownership(&fetched.receipt), Ownership::Held);
    let identity = world.source.identity(&fetched.message, &fetched.receipt);
    assert_eq!(identity.queue(), replay_table("script1", "orders"));
    world.liveness.was_dead(crate::clock::Moment::now());
    assert_eq!(world.source.ownership(&fetched.receipt), Ownership::Lost);
}
