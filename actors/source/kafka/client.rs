//! The settings of a group's member.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::config::Secret;

/// Records that are fetched ahead of those who run them, for each partition: a second's worth for the fastest handlers
/// would be more, but memory is bounded by bytes below. librdkafka looks for room each `fetch.queue.backoff.ms`.
const PREFETCHED_RECORDS: &str = "10000";
const PREFETCHED_KBYTES: &str = "4096";
const PREFETCH_PAUSE_MS: &str = "10";
/// How long a broker may keep a question that it has nothing for. A member has one question under way to each broker, so
/// partitions that are read fast wait as long behind those that are idle: with librdkafka's own 500 ms a topic was read half
/// as fast. An idle member asks ten times a second.
const FETCH_WAIT_MS: &str = "100";
/// A member that died is found out after so long, and its partitions go to others. librdkafka's own 45 s are a long time
/// to stand still; three heartbeats fit in.
const SESSION_TIMEOUT_MS: &str = "10000";
/// New partitions, and topics that come and go, are seen after so long at the latest.
const METADATA_REFRESH_MS: &str = "30000";

/// Where a partition begins of which the group has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Earliest,
    /// The whole group does, at its first assignment; partitions that are added later begin at their first record.
    Latest,
}

/// What the cluster's settings come to for a member of this group.
pub(super) fn member(
    cluster: ClientConfig,
    properties: &BTreeMap<String, Secret>,
    group: &str,
) -> (ClientConfig, Start) {
    let mut config = cluster;
    let is_given = |name: &str| properties.contains_key(name);
    let mut default = |name: &str, value: &str| {
        if !is_given(name) {
            config.set(name, value);
        }
    };
    default("queued.min.messages", PREFETCHED_RECORDS);
    default("queued.max.messages.kbytes", PREFETCHED_KBYTES);
    default("fetch.queue.backoff.ms", PREFETCH_PAUSE_MS);
    default("fetch.wait.max.ms", FETCH_WAIT_MS);
    default("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS);
    default("client.id", "simplest_script");
    let next_generation = properties
        .get("group.protocol")
        .is_some_and(|protocol| protocol.expose() == "consumer");
    // With KIP-848 the brokers decide both, and a client that sets them cannot be made.
    if !next_generation {
        default("partition.assignment.strategy", "cooperative-sticky");
        default("session.timeout.ms", SESSION_TIMEOUT_MS);
    }
    let wished = properties.get("auto.offset.reset").map(Secret::expose);
    let start = match wished {
        Some("latest" | "largest" | "end") => Start::Latest,
        _ => Start::Earliest,
    };
    // `latest` is resolved by us: librdkafka would do it for each partition anew whenever it has no position, also for
    // one that was added a minute ago and has records already. `error` stays the user's.
    if wished != Some("error") {
        config.set("auto.offset.reset", "earliest");
    }
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Tells that nothing is left, where the last offsets are no records.
        .set("enable.partition.eof", "true");
    (config, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(properties: &[(&str, &str)]) -> (ClientConfig, Start) {
        let properties: BTreeMap<String, Secret> = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
            .collect();
        let mut cluster = ClientConfig::new();
        for (name, value) in &properties {
            cluster.set(name, value.expose());
        }
        member(cluster, &properties, "g")
    }

    #[test]
    fn properties_come_before_our_own_choice() {
        let (config, start) = made(&[]);
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
        assert_eq!(config.get("session.timeout.ms"), Some("10000"));
        assert_eq!(
            (config.get("auto.offset.reset"), start),
            (Some("earliest"), Start::Earliest)
        );
        let (config, start) = made(&[
            ("partition.assignment.strategy", "range,roundrobin"),
            ("session.timeout.ms", "6000"),
            ("auto.offset.reset", "latest"),
        ]);
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("range,roundrobin")
        );
        assert_eq!(config.get("session.timeout.ms"), Some("6000"));
        assert_eq!(
            (config.get("auto.offset.reset"), start),
            (Some("earliest"), Start::Latest)
        );
        assert_eq!(
            made(&[("auto.offset.reset", "error")])
                .0
                .get("auto.offset.reset"),
            Some("error")
        );
    }

    #[test]
    fn a_client_can_be_made_of_it_with_either_protocol() {
        for properties in [&[][..], &[("group.protocol", "consumer")]] {
            let (config, _) = made(properties);
            let made: Result<rdkafka::consumer::BaseConsumer, _> = config.create();
            made.unwrap();
        }
    }
}
