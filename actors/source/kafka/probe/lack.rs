//! The conditions that a member of a group lacks, as texts for people: the fault, and the remedy.

use std::time::Duration;

use rdkafka::error::KafkaError;

/// See the module's header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lack {
    /// The settings make no client.
    #[error("librdkafka makes no client: {0}")]
    Client(#[source] KafkaError),
    /// None of the addresses in the settings answers.
    #[error("no broker answered within {} s{}", .patience.as_secs(), because(.reason))]
    Brokers { patience: Duration, reason: String },
    /// An address in the settings answers, and none of the advertised ones does.
    #[error(
        "a broker answered at the address in the settings, and none does at those that the brokers advertise{}; the brokers' `advertised.listeners` must be addresses that can be reached from here", because(.reason)
    )]
    Advertised { reason: String },
    /// The topic is missing, or this user may not describe it.
    #[error("the cluster has no such topic, or does not show it to us")]
    Topic,
    /// The topic may be described and not read.
    #[error("the cluster does not let us read the topic; the right `READ` on the topic would help")]
    TopicRight,
    /// A partition that no broker serves.
    #[error("partitions {0} have no leader: the brokers that have their replicas are away")]
    Leader(String),
    /// The advertised address of a broker cannot be reached.
    #[error(
        "broker {broker} leads partitions {partitions} and does not answer at `{address}`, its advertised address{}; the brokers' `advertised.listeners` must be addresses that can be reached from here", because(.reason)
    )]
    LeaderAway {
        broker: i32,
        address: String,
        partitions: String,
        reason: String,
    },
    /// The brokers could not make the topic of positions.
    #[error(
        "the cluster names no coordinator for the group, and shows no topic `__consumer_offsets`; it has {brokers} brokers, and `offsets.topic.replication.factor` (3 by default) must not be more"
    )]
    OffsetsTopic { brokers: usize },
    /// The coordinator was not found, or not reached.
    #[error("the group's coordinator does not answer{}; each broker must be reachable at its advertised address", because(.reason))]
    Coordinator { reason: String },
    /// This user may not read the group.
    #[error("the cluster does not let us into the group; the right `READ` on the group would help")]
    GroupRight,
    /// Any other error, with librdkafka's text.
    #[error("{0}")]
    Other(String),
}

fn because(reason: &str) -> String {
    match reason.is_empty() {
        true => String::new(),
        false => format!(" ({reason})"),
    }
}

/// The first partitions as `0, 1, 2`, and the number of the others.
pub(super) fn some_of(partitions: &[i32]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = partitions
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    match partitions.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}
