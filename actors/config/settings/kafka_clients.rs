//! What clients of a cluster are made with where its `properties` say nothing, and whether librdkafka makes them.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;

use crate::config::secret::Secret;

/// Of a group's member.
const MEMBER: [(&str, &str); 6] = [
    // Records that are prefetched, for each partition: a second's worth for the fastest
    // handlers would be more, but memory is bounded by the bytes. librdkafka checks for room each
    // `fetch.queue.backoff.ms`.
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.queue.backoff.ms", "10"),
    // How long a broker may keep a question that it has nothing for. A member has one question under way to each broker,
    // so partitions that are read fast wait as long behind those that are idle: with librdkafka's own 500 ms a topic was
    // read half as fast. An idle member asks ten times a second.
    ("fetch.wait.max.ms", "100"),
    // The longest until new partitions, and topics that come and go, are seen.
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("client.id", "simplest_script"),
];

/// Of a member, unless the brokers decide both: with KIP-848 a client that sets them cannot be made.
const CLASSIC_MEMBER: [(&str, &str); 2] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    // How long a member that died keeps its partitions; then others get them. librdkafka's own 45 s are a long time to
    // stand still; three heartbeats fit in.
    ("session.timeout.ms", "10000"),
];

/// How long a record waits for a broker to take it: librdkafka's own five minutes are long for the caller.
const SEND_TIMEOUT: (&str, &str) = ("message.timeout.ms", "30000");
/// As Java's clients: a key goes to the same partition from every client.
const PARTITIONER: (&str, &str) = ("partitioner", "murmur2_random");

type Properties = BTreeMap<String, Secret>;

fn set_missing(config: &mut ClientConfig, properties: &Properties, defaults: &[(&str, &str)]) {
    for (name, value) in defaults {
        if !properties.contains_key(*name) {
            config.set(*name, *value);
        }
    }
}

/// What the cluster's settings come to for a member of a group; `cluster` has the properties already.
pub(crate) fn member(
    mut config: ClientConfig,
    properties: &Properties,
    group: &str,
) -> ClientConfig {
    let given = |name: &str| properties.get(name).map(Secret::expose);
    set_missing(&mut config, properties, &MEMBER);
    if given("group.protocol") != Some("consumer") {
        set_missing(&mut config, properties, &CLASSIC_MEMBER);
    }
    // `latest` is resolved by us: librdkafka would do it for each partition anew whenever it has no position, also for
    // one that was added a minute ago and has records already. `error` stays the user's.
    if given("auto.offset.reset") != Some("error") {
        config.set("auto.offset.reset", "earliest");
    }
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Reports the end of a partition, also where the last offsets are no records.
        .set("enable.partition.eof", "true");
    config
}

/// As [`member`], for a producer.
pub(crate) fn producer(mut config: ClientConfig, properties: &Properties) -> ClientConfig {
    set_missing(&mut config, properties, &[PARTITIONER]);
    if !properties.contains_key("delivery.timeout.ms") {
        set_missing(&mut config, properties, &[SEND_TIMEOUT]);
    }
    // The answer to a send carries its error.
    config.set_log_level(RDKafkaLogLevel::Critical);
    config
}

/// Makes both clients, without an address that they could connect to. Properties that are right one by one may contradict
/// each other, or a default; files that they name may not be there.
pub(super) fn refused_together(properties: &Properties) -> Option<String> {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value.expose());
    }
    if by_tokens(properties) {
        if let Some(lack) = without_provider(properties) {
            return Some(lack.to_owned());
        }
        // A client with this mechanism would ask for a token, and hold up the start while nobody answers.
        for mechanism in ["sasl.mechanism", "sasl.mechanisms"] {
            config.remove(mechanism);
        }
        let protocol = properties.get("security.protocol").map(Secret::expose);
        let is_tls = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("sasl_ssl"));
        config.set(
            "security.protocol",
            if is_tls { "ssl" } else { "plaintext" },
        );
    }
    let made = try_to_make::<BaseConsumer>(member(config.clone(), properties, "check"))
        .and_then(|()| try_to_make::<BaseProducer>(producer(config, properties)));
    let reason = made.err()?;
    let ours = MEMBER.iter().chain(&CLASSIC_MEMBER).chain([&SEND_TIMEOUT]);
    let ours = ours.filter(|(name, _)| {
        !properties.contains_key(*name) && reason.contains(&format!("`{name}`"))
    });
    let ours: Vec<String> = ours
        .map(|(name, value)| format!("`{name}` is {value} where `properties` do not say otherwise"))
        .collect();
    Some(match ours.is_empty() {
        true => format!("librdkafka makes no client of these properties: {reason}"),
        false => format!(
            "librdkafka makes no client of these properties: {reason}; {}",
            ours.join(", ")
        ),
    })
}

fn by_tokens(properties: &Properties) -> bool {
    let mechanisms = ["sasl.mechanism", "sasl.mechanisms"];
    let mut given = mechanisms.iter().filter_map(|name| properties.get(*name));
    given.any(|mechanism| mechanism.expose().eq_ignore_ascii_case("OAUTHBEARER"))
}

/// What librdkafka lacks to ask for a token.
fn without_provider(properties: &Properties) -> Option<&'static str> {
    let method = properties.get("sasl.oauthbearer.method");
    if method.is_none_or(|method| !method.expose().eq_ignore_ascii_case("oidc")) {
        return Some(
            "with OAUTHBEARER nobody gives tokens unless `sasl.oauthbearer.method` is `oidc`",
        );
    }
    let places = [
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.oauthbearer.metadata.authentication.type",
    ];
    let is_given = places.iter().any(|name| properties.contains_key(*name));
    (!is_given).then_some(
        "with `sasl.oauthbearer.method` `oidc` the provider's address lacks; write `sasl.oauthbearer.token.endpoint.url`",
    )
}

fn try_to_make<T: FromClientConfig>(mut config: ClientConfig) -> Result<(), String> {
    // That it has no address is no news.
    config.set_log_level(RDKafkaLogLevel::Emerg);
    match config.create::<T>() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientCreation(reason)) => Err(reason.trim_end().to_owned()),
        Err(cause) => Err(cause.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(given: &[(&str, &str)]) -> Properties {
        let own =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new((*value).to_owned()));
        given.iter().map(own).collect()
    }

    fn made(given: &[(&str, &str)]) -> ClientConfig {
        let mut cluster = ClientConfig::new();
        for (name, value) in given {
            cluster.set(*name, *value);
        }
        member(cluster, &properties(given), "g")
    }

    #[test]
    fn properties_come_before_our_own_choice() {
        let config = made(&[]);
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
        assert_eq!(config.get("session.timeout.ms"), Some("10000"));
        assert_eq!(config.get("auto.offset.reset"), Some("earliest"));
        let config = made(&[
            ("partition.assignment.strategy", "range,roundrobin"),
            ("session.timeout.ms", "6000"),
            ("auto.offset.reset", "latest"),
        ]);
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("range,roundrobin")
        );
        assert_eq!(config.get("session.timeout.ms"), Some("6000"));
        assert_eq!(config.get("auto.offset.reset"), Some("earliest"));
        let config = made(&[("auto.offset.reset", "error")]);
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
    }

    #[test]
    fn clients_can_be_made_of_our_choice_with_either_protocol() {
        for given in [&[][..], &[("group.protocol", "consumer")]] {
            assert_eq!(refused_together(&properties(given)), None);
        }
    }

    #[test]
    fn options_against_our_defaults_are_refused() {
        let why = refused_together(&properties(&[("max.poll.interval.ms", "5000")])).unwrap();
        assert!(
            why.contains("`session.timeout.ms` is 10000 where `properties` do not say otherwise"),
            "{why}"
        );
        let both = [
            ("max.poll.interval.ms", "5000"),
            ("session.timeout.ms", "5000"),
        ];
        assert_eq!(refused_together(&properties(&both)), None);
    }

    #[test]
    fn what_only_a_producer_refuses_is_refused() {
        let given = [("message.timeout.ms", "5"), ("linger.ms", "100")];
        let why = refused_together(&properties(&given)).unwrap();
        assert!(why.contains("`message.timeout.ms`"), "{why}");
    }
}
