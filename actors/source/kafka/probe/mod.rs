//! Checks everything that a member of a group needs, without joining the group: the topic, a fetch from the leader of each
//! partition at its advertised address, the group's coordinator, and the rights to read topic and group.
//!
//! Metadata alone prove little: a broker whose advertised address cannot be reached returns them too, and users without the
//! right to read get them.

mod fetch;
mod group;
mod lack;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::bindings::rd_kafka_controllerid;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientConfig, ClientContext};

pub(crate) use self::group::GroupState;
pub(crate) use self::lack::Lack;

/// The time for one attempt of a query: one broker of several may hang while the others answer.
const TRY: Duration = Duration::from_secs(2);
/// The topic with the positions of all groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The findings where nothing lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) partitions: usize,
    pub(crate) group: GroupState,
}

/// A cluster as any broker describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) brokers: usize,
    /// The topics that this user may describe.
    pub(crate) topics: usize,
}

/// Checks whether any broker answers. Blocks its thread.
///
/// # Errors
///
/// When none does, with the reason.
pub(crate) fn reach(config: &ClientConfig, patience: Duration) -> Result<Cluster, Lack> {
    let metadata = metadata(&client(config)?, None, patience)?;
    Ok(Cluster {
        brokers: metadata.brokers().len(),
        topics: metadata.topics().len(),
    })
}

/// Runs all checks with a member's settings. `patience` bounds each query. Blocks its thread.
///
/// # Errors
///
/// The first thing that a member would lack.
pub(crate) fn probe(
    config: &ClientConfig,
    topic: &str,
    group: &str,
    patience: Duration,
) -> Result<Reached, Lack> {
    let client = client(config)?;
    let metadata = topic_metadata(&client, topic, patience)?;
    let partitions = fetch::all(&client, &metadata, topic, patience)?;
    let group = group::describe(&client, group, patience)
        .map_err(|failed| why_no_group(&client, &metadata, failed))?;
    Ok(Reached { partitions, group })
}

fn client(config: &ClientConfig) -> Result<BaseConsumer<Listener>, Lack> {
    let mut config = config.clone();
    // Errors are returned, not logged.
    config.set_log_level(RDKafkaLogLevel::Critical);
    // A probe must not make a topic.
    config.set("allow.auto.create.topics", "false");
    config
        .create_with_context(Listener::default())
        .map_err(Lack::Client)
}

fn topic_metadata(
    client: &BaseConsumer<Listener>,
    topic: &str,
    patience: Duration,
) -> Result<Metadata, Lack> {
    let metadata = metadata(client, Some(topic), patience)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let error = found.map(|found| found.error().map(Code::from));
    match error {
        Some(None) => Ok(metadata),
        Some(Some(Code::TopicAuthorizationFailed)) => Err(Lack::TopicRight),
        Some(Some(Code::UnknownTopicOrPartition | Code::UnknownTopic)) | None => Err(Lack::Topic),
        Some(Some(code)) => Err(Lack::Other(format!("the topic's metadata: {code}"))),
    }
}

/// The metadata of one topic, or of all topics.
fn metadata(
    client: &BaseConsumer<Listener>,
    topic: Option<&str>,
    patience: Duration,
) -> Result<Metadata, Lack> {
    let deadline = Instant::now() + patience;
    loop {
        // librdkafka's errors of connections come by polls.
        drop(client.poll(Duration::ZERO));
        let left = deadline.saturating_duration_since(Instant::now());
        let cause = match client.fetch_metadata(topic, left.min(TRY)) {
            Ok(metadata) => return Ok(metadata),
            Err(_) if Instant::now() < deadline => continue,
            Err(cause) => cause,
        };
        drop(client.poll(Duration::ZERO));
        return Err(match cause.rdkafka_error_code() {
            Some(Code::BrokerTransportFailure | Code::OperationTimedOut | Code::AllBrokersDown) => {
                let reason = client.context().reason();
                match knows_brokers(client) {
                    true => Lack::Advertised { reason },
                    false => Lack::Brokers { patience, reason },
                }
            }
            _ => Lack::Other(cause.to_string()),
        });
    }
}

/// Whether any broker has answered this client. Then the client uses the addresses that the brokers advertise, and no longer
/// those of the settings.
fn knows_brokers(client: &BaseConsumer<Listener>) -> bool {
    // SAFETY: the client lives. With this time-out it sends no query.
    let controller = unsafe { rd_kafka_controllerid(client.client().native_ptr(), 0) };
    controller >= 0
}

/// Why the coordinator was not found or not reached in time.
fn why_no_group(client: &BaseConsumer<Listener>, metadata: &Metadata, failed: Lack) -> Lack {
    let Lack::Coordinator { .. } = failed else {
        return failed;
    };
    let offsets = client.fetch_metadata(Some(OFFSETS_TOPIC), TRY);
    let is_there = offsets.is_ok_and(|metadata| {
        let is_it = |topic: &rdkafka::metadata::MetadataTopic| {
            topic.name() == OFFSETS_TOPIC && topic.error().is_none()
        };
        metadata.topics().iter().any(is_it)
    });
    match is_there {
        true => Lack::Coordinator {
            reason: client.context().reason(),
        },
        false => Lack::OffsetsTopic {
            brokers: metadata.brokers().len(),
        },
    }
}

/// Keeps librdkafka's errors of connections, which are mostly the cause of an unanswered query.
#[derive(Default)]
struct Listener {
    reason: Mutex<String>,
}

impl Listener {
    fn reason(&self) -> String {
        self.reason.lock().clone()
    }
}

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let of_connection = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::BrokerTransportFailure
                    | Code::Resolve
                    | Code::SSL
                    | Code::Authentication
                    | Code::OperationTimedOut
            )
        );
        if of_connection {
            let mut last = self.reason.lock();
            reason.clone_into(&mut last);
        }
    }
}

impl ConsumerContext for Listener {}
