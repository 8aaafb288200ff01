//! Sending to a topic.

use std::collections::VecDeque;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::Clusters;
use crate::db::rows::NewMessage;

/// Records under way at once: enough for full requests, few enough for the memory.
const UNDER_WAY: usize = 10_000;
/// librdkafka's queue is full of others' records: until there may be room.
const PAUSE: Duration = Duration::from_millis(10);

impl Clusters {
    /// Answers after the brokers have acknowledged all of them.
    ///
    /// # Errors
    ///
    /// How many of the first ones were acknowledged, and why the next one was not; some behind it may have been.
    pub(crate) async fn produce(
        &self,
        cluster: &str,
        topic: &str,
        messages: Vec<NewMessage>,
    ) -> Result<(), (usize, String)> {
        let producer = self
            .producer(cluster)
            .map_err(|cause| (0, cause.to_string()))?;
        let mut under_way = VecDeque::new();
        let mut sent = 0;
        for message in &messages {
            if under_way.len() >= UNDER_WAY {
                acknowledged(&mut under_way, &mut sent).await?;
            }
            let delivery = enqueue(&producer, topic, message).await;
            under_way.push_back(delivery.map_err(|cause| (sent, cause.to_string()))?);
        }
        while !under_way.is_empty() {
            acknowledged(&mut under_way, &mut sent).await?;
        }
        Ok(())
    }
}

async fn enqueue(
    producer: &FutureProducer,
    topic: &str,
    message: &NewMessage,
) -> Result<DeliveryFuture, KafkaError> {
    let insert = |headers: OwnedHeaders, (name, value): &(String, bytes::Bytes)| {
        headers.insert(Header {
            key: name,
            value: Some(&value[..]),
        })
    };
    let mut record = FutureRecord::<[u8], [u8]>::to(topic).payload(&message.payload[..]);
    if let Some(key) = &message.key {
        record = record.key(&key[..]);
    }
    if !message.headers.is_empty() {
        record = record.headers(message.headers.iter().fold(OwnedHeaders::new(), insert));
    }
    loop {
        match producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                tokio::time::sleep(PAUSE).await;
            }
            Err((cause, _)) => return Err(cause),
        }
    }
}

/// Waits for the first of them.
async fn acknowledged(
    under_way: &mut VecDeque<DeliveryFuture>,
    sent: &mut usize,
) -> Result<(), (usize, String)> {
    let Some(first) = under_way.pop_front() else {
        return Ok(());
    };
    match first.await {
        Ok(Ok(_)) => {
            *sent += 1;
            Ok(())
        }
        Ok(Err((cause, _))) => Err((*sent, cause.to_string())),
        Err(_) => Err((*sent, "the producer ended".to_owned())),
    }
}
