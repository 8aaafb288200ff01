//! What is sent arrives, whichever way the server answers it, and stays whole on every way out.

use super::*;

/// Around the lengths at which the server writes a length in another way, and at which memory is shared or not.
const LENGTHS: [usize; 12] = [
    0, 1, 31, 32, 100, 255, 256, 1023, 1024, 1025, 65_535, 65_536,
];

fn payloads(all: &[Delivery]) -> Vec<Vec<u8>> {
    let payload = |delivery: &Delivery| delivery.message.payload.to_vec();
    all.iter().map(payload).collect()
}

/// No two alike, of any bytes, and some that look like numbers.
fn bodies_of(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    let body = |(n, len): (usize, usize)| match n % 3 {
        0 => format!("{n:0<len$}").into_bytes(),
        _ => (0..len)
            .map(|at| u8::try_from((n * 31 + at) % 256).unwrap())
            .collect(),
    };
    lengths.into_iter().enumerate().map(body).collect()
}

#[actix::test]
async fn batches_of_any_number_of_messages_of_any_length_arrive_as_they_were_sent() {
    let Some(world) = World::shared().await else {
        return;
    };
    let source = world.source();
    let short = &LENGTHS[..7];
    for n in [1, 2, 15, 16, 17, 255, 256, 1000] {
        for lengths in [short, &LENGTHS[..]] {
            let sent = bodies_of(lengths.iter().copied().cycle().take(n));
            world.push(&sent).await;
            let mut found = fetch(&source, 1000).await;
            while found.len() < n {
                // Several replies, where they are large.
                found.extend(fetch(&source, 1000).await);
            }
            assert!(payloads(&found) == sent, "{n} of {lengths:?}");
            settle(&source, &found, Disposition::Complete).await;
        }
    }
    assert_eq!(source.lag().await.unwrap(), 0);
}

#[actix::test]
async fn framed_messages_whose_answer_was_lost_are_found_with_their_attempts() {
    let Some(world) = World::shared().await else {
        return;
    };
    let sent = bodies_of([5, 2000]);
    world.push(&sent).await;
    let source = world.source();
    let first = fetch(&source, 100).await;
    settle(&source, &first, Disposition::Retry(Duration::ZERO)).await;
    let generation = source.registration.registered().await.unwrap();
    let boot = source.registration.boot.in_generation(generation);
    let number = source.polling.pollers.last_number() + 1;
    until("both to be due", || async {
        let retries: u64 = world.ask(&["ZCARD", &world.ours("retries")]).await;
        retries == 2
    })
    .await;
    world.take_unread(&boot, (number, 100), "retries").await;
    source.polling.pollers.lose_answer(Who::First, number).await;
    let mut again = fetch_all(&source, 2).await;
    again.sort_by_key(|delivery| delivery.message.payload.len());
    assert_eq!(payloads(&again), sent);
    for (delivery, before) in again.iter().zip(&first) {
        assert_eq!(delivery.message.attempt, 2);
        assert_eq!(delivery.message.id, before.message.id);
    }
}

#[actix::test]
async fn dead_letters_and_what_a_server_gets_back_have_whole_payloads() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let sent = bodies_of([7, 1000, 3000, 9]);
    world.push(&sent).await;
    let source = world.source();
    let bare = fetch(&source, 100).await;
    let dead = |attempts| Disposition::DeadLetter {
        error: "no".to_owned(),
        attempts,
    };
    settle(&source, &bare[1..2], dead(1)).await;
    let later = Disposition::Retry(Duration::ZERO);
    settle(&source, &bare[2..], later.clone()).await;
    let framed = fetch_all(&source, 2).await;
    settle(&source, &framed[..1], dead(2)).await;
    let dead_letters = || {
        world
            .db
            .lines("SELECT HEX(payload) AS line FROM dead_letter ORDER BY id")
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
    assert_eq!(
        dead_letters(),
        [hex(&sent[1]), hex(&framed[0].message.payload)]
    );
    // What is left of both batches is put back by the heartbeat, the framed one with its attempts.
    server.kill();
    server.start();
    settle(&source, &bare[..1], later.clone()).await;
    settle(&source, &framed[1..], later).await;
    let mut back = fetch_all(&source, 2).await;
    back.sort_by_key(|delivery| delivery.message.attempt);
    assert_eq!(
        payloads(&back),
        [sent[0].clone(), framed[1].message.payload.to_vec()]
    );
    assert_eq!((back[0].message.attempt, back[1].message.attempt), (2, 3));
}
