//! Sends messages to a topic.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::Clusters;
use crate::source::Unsent;
use crate::store::rows::NewMessage;

/// Records under way at once: enough for full requests, few enough for the memory.
const UNDER_WAY: usize = 10_000;
/// Pause while librdkafka's queue is full of other records.
const PAUSE: Duration = Duration::from_millis(10);

impl Clusters {
    /// Returns after the brokers have acknowledged all messages. After a failure no more are handed to the client, and the
    /// deliveries under way are awaited: so it is known of each message whether it is in the topic.
    ///
    /// # Errors
    ///
    /// The messages that were not acknowledged, and why the first of them was not.
    pub(crate) async fn produce(
        &self,
        cluster: &str,
        topic: &str,
        messages: Vec<NewMessage>,
    ) -> Result<(), Unsent> {
        let producer = self.producer(cluster);
        let producer = producer.map_err(|cause| Unsent::all(messages.len(), cause.to_string()))?;
        let mut deliveries = Deliveries::default();
        for (at, message) in messages.iter().enumerate() {
            if deliveries.under_way.len() >= UNDER_WAY {
                deliveries.wait_for_first().await;
            }
            if deliveries.unsent.is_some() {
                deliveries.not_tried(at..messages.len());
                break;
            }
            match enqueue(&producer, topic, message).await {
                Ok(delivery) => deliveries.under_way.push_back((at, delivery)),
                Err(cause) => deliveries.failed(at, &cause),
            }
        }
        while !deliveries.under_way.is_empty() {
            deliveries.wait_for_first().await;
        }
        match deliveries.unsent {
            None => Ok(()),
            Some(mut unsent) => {
                unsent.places.sort_unstable();
                Err(unsent)
            }
        }
    }
}

/// Deliveries in the order in which they began, each with its place among the messages.
#[derive(Default)]
struct Deliveries {
    under_way: VecDeque<(usize, DeliveryFuture)>,
    unsent: Option<Unsent>,
}

impl Deliveries {
    async fn wait_for_first(&mut self) {
        let Some((at, first)) = self.under_way.pop_front() else {
            return;
        };
        match first.await {
            Ok(Ok(_)) => {}
            Ok(Err((cause, _))) => self.failed(at, &cause),
            Err(_) => self.failed(at, &KafkaError::Canceled),
        }
    }

    fn failed(&mut self, at: usize, cause: &KafkaError) {
        let unsent = self.unsent.get_or_insert_with(|| Unsent {
            places: Vec::new(),
            in_doubt: false,
            cause: cause.to_string(),
        });
        unsent.places.push(at);
        unsent.in_doubt |= may_have_come(cause);
    }

    fn not_tried(&mut self, places: Range<usize>) {
        if let Some(unsent) = &mut self.unsent {
            unsent.places.extend(places);
        }
    }
}

/// Whether the record may be in the topic all the same: perhaps only the answer was lost.
fn may_have_come(cause: &KafkaError) -> bool {
    matches!(cause, KafkaError::Canceled)
        || matches!(
            cause.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::MessageTimedOut
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::RequestTimedOut
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::NetworkException
                    | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
                    | RDKafkaErrorCode::PurgeInflight
            )
        )
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
