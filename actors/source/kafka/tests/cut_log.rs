//! A broker that loses the end of a log which librdkafka has fetched, and no consumer has polled.

use std::time::Duration;

use super::{ANY, DONE, World, close, fetch, numbers, one, settle};
use crate::servers::kafka::Kafka;

/// The member outlives the broker's restart, so that its partition does not come anew.
const SESSION: (&str, &str) = ("session.timeout.ms", "120000");
/// For librdkafka to fetch what there is, which it does by itself.
const FETCHING: Duration = Duration::from_secs(2);
const RECONNECTING: Duration = Duration::from_secs(12);

#[actix::test]
async fn records_before_a_cut_that_were_fetched_and_not_drawn_come() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    // For as long as this process, as the one that all tests share.
    let world = World::on(Box::leak(Box::new(server)), 1);
    world.fill(20).await;
    let source = world.source_with(&[SESSION]);
    let first = fetch(&source, one(1), 1).await;
    assert_eq!(numbers(&first), [0]);
    tokio::time::sleep(FETCHING).await;
    world.server.kill();
    world.server.cut_log(&world.topic, 0, 10);
    world.server.start();
    for number in 100..105 {
        world.send(0, &number.to_string()).await;
    }
    // It reaches the broker again, and goes back to the cut. What follows holds in any case.
    tokio::time::sleep(RECONNECTING).await;
    settle(&source, &first, &DONE).await;
    let mut rest = Vec::new();
    while !rest.contains(&104) {
        let batch = fetch(&source, ANY, 1).await;
        rest.extend(numbers(&batch));
        settle(&source, &batch, &DONE).await;
    }
    println!("{rest:?}");
    // Where it had not gone back yet the records that the broker lost ran as well.
    rest.retain(|number| !(10..20).contains(number));
    assert_eq!(rest, (1..10).chain(100..105).collect::<Vec<i64>>());
    world.until_committed(&[(0, 15)]).await;
    close(&source).await;
}
