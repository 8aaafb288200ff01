//! Kafka clusters, and the topics that live entries read.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{Found, FoundQueue, PATIENCE};
use crate::config::{Brokers, KafkaSettings};

pub(super) async fn look(name: &str, settings: &KafkaSettings, topics: Vec<FoundQueue>) -> Found {
    let found = Found::new("kafka", name, settings.brokers.to_string());
    let Brokers::Servers(servers) = &settings.brokers else {
        return Found {
            reached: true,
            note: Some(
                "a cluster inside the daemon's process: there is nothing to reach".to_owned(),
            ),
            ..found
        };
    };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    // Looking must not make a topic.
    config.set("allow.auto.create.topics", "false");
    for (name, value) in &settings.properties {
        config.set(name, value.expose());
    }
    // librdkafka's call blocks its thread.
    let asked = actix_rt::task::spawn_blocking(move || ask(&config, topics)).await;
    match asked {
        Ok(Ok(answer)) => Found {
            reached: true,
            brokers: Some(answer.brokers),
            topics: Some(answer.topics),
            queues: answer.queues,
            ..found
        },
        Ok(Err(problem)) => found.failed(problem),
        Err(cause) => found.failed(cause),
    }
}

struct Answer {
    brokers: usize,
    topics: usize,
    queues: Vec<FoundQueue>,
}

fn ask(config: &ClientConfig, wanted: Vec<FoundQueue>) -> Result<Answer, String> {
    let consumer: BaseConsumer = config.create().map_err(|cause| cause.to_string())?;
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(said)?;
    let queues = wanted.into_iter().map(|queue| {
        let topic = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == queue.source);
        match topic {
            Some(topic) => FoundQueue {
                partitions: Some(topic.partitions().len()),
                ..queue
            },
            None => FoundQueue {
                problem: Some(
                    "the cluster has no such topic, or does not show it to us".to_owned(),
                ),
                ..queue
            },
        }
    });
    Ok(Answer {
        brokers: metadata.brokers().len(),
        topics: metadata.topics().len(),
        queues: queues.collect(),
    })
}

fn said(cause: KafkaError) -> String {
    match cause.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::AllBrokersDown,
        ) => format!("no broker answered within {} s", PATIENCE.as_secs()),
        _ => cause.to_string(),
    }
}
