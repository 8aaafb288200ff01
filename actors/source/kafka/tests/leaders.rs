//! One broker of several is away: the group goes on, and what that broker leads is not consumed.

use rdkafka::mocking::{MockCluster, MockCoordinator};

use super::{close, source, until};
use crate::config::{Brokers, KafkaSettings};
use crate::source::Source;
use crate::source::kafka::health::Problem;
use crate::source::kafka::{Clusters, Inside};
use crate::testing_support::TestDb;

#[actix::test]
async fn a_leader_that_is_away_is_reported_until_all_answer() {
    let db = TestDb::start();
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    for broker in [1, 2] {
        cluster
            .partition_leader("orders", broker - 1, Some(broker))
            .unwrap();
    }
    let coordinator = MockCoordinator::Group("g".to_owned());
    cluster.coordinator(coordinator, 1).unwrap();
    let settings = KafkaSettings {
        brokers: Brokers::Servers(cluster.bootstrap_servers()),
        ..KafkaSettings::default()
    };
    let clusters = Clusters::new(&[("default".to_owned(), settings)].into(), Inside::Daemon);
    let source = source(&clusters, "orders", "g", &db);
    until("partitions", || {
        source.shared.assignments().partitions().len() == 2
    })
    .await;
    source.lag().await.unwrap();
    let held_up = || source.shared.health.held_up();
    assert_eq!(held_up(), None);

    cluster.broker_down(2).unwrap();
    assert!(source.lag().await.is_err());
    until("it to be reported", || held_up() == Some(Problem::Leader)).await;
    cluster.broker_up(2).unwrap();
    while source.lag().await.is_err() {}
    until("it to be over", || held_up().is_none()).await;
    close(&source).await;
}
