//! The key `kafka`: clusters by name, and librdkafka properties handed through.

use std::{collections::BTreeMap, fmt, num::NonZeroU16, str::FromStr};

use rdkafka::{ClientConfig, error::KafkaError};

use super::kafka_clients::refused_together;
use crate::config::secret::Secret;
use crate::jsonc::node::Node;
use crate::jsonc::quote;

/// More brokers than a process could pretend to be.
const MOST_MOCK_BROKERS: u16 = 16;

/// Whether this build's librdkafka has OpenSSL, for TLS and SCRAM. The feature `tls` brings this one along.
pub(crate) const HAS_TLS: bool = cfg!(feature = "tls-system");
/// Whether it has libcurl too, to ask for tokens of OAUTHBEARER.
pub(crate) const HAS_OIDC: bool = cfg!(feature = "oidc");

/// Properties that are the daemon's own, with what would be right.
const OWNED: [(&str, &str); 12] = [
    ("group.id", "it is the queue entry's `group_id`"),
    ("bootstrap.servers", "write `brokers`"),
    ("metadata.broker.list", "write `brokers`"),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("auto.commit.interval.ms", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("offset.store.method", COMMITS),
    ("enable.partition.eof", "lag is read from the brokers"),
    (
        "group.instance.id",
        "two daemons of a partition may overlap, and a static member allows one",
    ),
    ("test.mock.num.brokers", "write `mock://3` as `brokers`"),
    ("test.mock.broker.rtt", "write `mock://3` as `brokers`"),
];
const COMMITS: &str = "an offset is committed when its message is finished";

/// What KIP-848 takes over from the client; with it client creation fails.
const CLASSIC_GROUP: [&str; 4] = [
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol.type",
];

/// One Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where it is.
    pub brokers: Brokers,
    /// librdkafka's own settings; any may be a password.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: Brokers::Servers("127.0.0.1:9092".to_owned()),
            properties: BTreeMap::new(),
        }
    }
}

/// The brokers of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brokers {
    /// `host:port`, with commas between several.
    Servers(String),
    /// `mock://3`: a cluster of this many brokers inside this process.
    Mock(NonZeroU16),
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers(servers) => f.write_str(servers),
            Self::Mock(count) => write!(f, "mock://{count}"),
        }
    }
}

/// A text that names no brokers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBrokers {
    /// One of them is no `host:port`.
    #[error("{} is no `host:port`; `host1:9092,host2:9092` would be right", quote::name(.0))]
    Server(String),
    /// Too many or too few, or no number.
    #[error(
        "wanted `mock://1` to `mock://{MOST_MOCK_BROKERS}`, a number of brokers inside this process"
    )]
    Mock,
}

impl FromStr for Brokers {
    type Err = BadBrokers;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(count) = text.strip_prefix("mock://") {
            let count = count
                .parse()
                .ok()
                .filter(|count: &NonZeroU16| count.get() <= MOST_MOCK_BROKERS);
            return count.map(Self::Mock).ok_or(BadBrokers::Mock);
        }
        let servers: Vec<&str> = text.split(',').map(str::trim).collect();
        match servers.iter().find(|server| !is_server(server)) {
            Some(bad) => Err(BadBrokers::Server((*bad).to_owned())),
            None => Ok(Self::Servers(servers.join(","))),
        }
    }
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && !host.contains(['/', '@', ' ']) && url::Host::parse(host).is_ok()
}

impl KafkaSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let d = Self::default();
            let brokers = o.required(
                "brokers",
                "the cluster, such as `127.0.0.1:9092`, or `mock://3`",
                Node::parsed,
            );
            let properties = o.optional("properties", d.properties, properties);
            Some(Self {
                brokers: brokers?,
                properties: properties?,
            })
        })
    }
}

fn properties(node: &Node<'_>) -> Option<BTreeMap<String, Secret>> {
    let all: Vec<_> = node
        .entries()?
        .into_iter()
        .map(|(name, node)| {
            let value = node.scalar();
            (name, value, node)
        })
        .collect();
    let next_generation = all
        .iter()
        .any(|(name, value, _)| name == "group.protocol" && value.as_deref() == Some("consumer"));
    let mut places = Vec::new();
    let checked: Vec<_> = all
        .into_iter()
        .map(|(name, value, node)| {
            let value = value?;
            // An empty name is reported already.
            let fault = fault(&name, &value, next_generation).filter(|_| !name.is_empty());
            match fault {
                Some(message) => {
                    node.fault(message);
                    None
                }
                None => {
                    places.push((name.clone(), node));
                    Some((name, Secret::new(value)))
                }
            }
        })
        .collect();
    let properties = checked.into_iter().collect::<Option<BTreeMap<_, _>>>()?;
    match refused_together(&properties).filter(|_| !properties.is_empty()) {
        None => Some(properties),
        Some(reason) => {
            // Where librdkafka names none, all of them are the place.
            let named = places
                .iter()
                .filter(|(name, _)| reason.contains(name.as_str()));
            let place = named.max_by_key(|(name, _)| name.len());
            place.map_or(node, |(_, node)| node).fault(reason);
            None
        }
    }
}

/// What is wrong with a property; shows no value, except where librdkafka refuses one.
fn fault(name: &str, value: &str, next_generation: bool) -> Option<String> {
    if let Some((_, right)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        return Some(format!(
            "`{name}` is the daemon's own: {right}; leave it out"
        ));
    }
    if next_generation && CLASSIC_GROUP.contains(&name) {
        return Some(format!(
            "with `group.protocol` `consumer` the brokers decide `{name}`; leave it out"
        ));
    }
    missing_feature(name, value).or_else(|| refused_by_librdkafka(name, value))
}

/// What this build cannot do: librdkafka would say so only when it connects.
fn missing_feature(name: &str, value: &str) -> Option<String> {
    let needed = match name {
        "security.protocol" => {
            value.eq_ignore_ascii_case("ssl") || value.eq_ignore_ascii_case("sasl_ssl")
        }
        "sasl.mechanism" | "sasl.mechanisms" => {
            let value = value.to_ascii_uppercase();
            if value == "GSSAPI" {
                return Some(format!(
                    "`{name}`: Kerberos is in no build of this daemon; `PLAIN` or `SCRAM-SHA-512` would be right"
                ));
            }
            if value == "OAUTHBEARER" && !HAS_OIDC {
                return Some(without_oidc(name));
            }
            value.starts_with("SCRAM-")
        }
        // librdkafka makes such a token once, and its successors are lost on their way: an hour later all is over.
        "enable.sasl.oauthbearer.unsecure.jwt" => {
            return Some(format!(
                "`{name}`: unsecured tokens are for librdkafka's own tests; `sasl.oauthbearer.method` `oidc` would be right"
            ));
        }
        name if name.starts_with("sasl.oauthbearer.") && !HAS_OIDC => {
            return Some(without_oidc(name));
        }
        name => name.starts_with("ssl.") || name == "enable.ssl.certificate.verification",
    };
    (needed && !HAS_TLS).then(|| {
        format!("`{name}` needs TLS, which this build lacks; build with the feature `tls`")
    })
}

fn without_oidc(name: &str) -> String {
    format!(
        "`{name}` needs tokens of an OpenID provider, which this build cannot ask for; build with the feature `oidc`"
    )
}

/// Names and values that librdkafka itself does not know.
fn refused_by_librdkafka(name: &str, value: &str) -> Option<String> {
    if name.contains('\0') || value.contains('\0') {
        return Some("a NUL character, which librdkafka cannot take".to_owned());
    }
    let tried =
        ClientConfig::from_iter([(name.to_owned(), value.to_owned())]).create_native_config();
    match tried {
        Ok(taken) => misread_number(value, &taken.get(name).ok()?),
        Err(KafkaError::ClientConfig(_, reason, ..)) => {
            Some(format!("librdkafka refuses it: {}", reason.trim_end()))
        }
        Err(error) => Some(format!("librdkafka refuses it: {error}")),
    }
}

/// librdkafka reads a number as far as it can: `5s` and `5e3` as 5.
fn misread_number(value: &str, taken: &str) -> Option<String> {
    let taken: i64 = taken.parse().ok()?;
    let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !is_number || value.trim().parse() == Ok(taken) {
        return None;
    }
    Some(format!(
        "librdkafka would read this as {taken}; a whole number would be right"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc::testing::{faults, good};

    #[test]
    fn brokers_are_hosts_with_ports_or_a_mock() {
        for text in [
            "h:9092",
            "a:1,b:2",
            "[::1]:9092",
            "127.0.0.1:9092",
            "mock://3",
        ] {
            assert_eq!(text.parse::<Brokers>().unwrap().to_string(), text);
        }
        assert_eq!(
            "a:1, b:2".parse::<Brokers>().unwrap().to_string(),
            "a:1,b:2"
        );
        for text in [
            "",
            "h",
            "h:",
            "h:0",
            "h:99999",
            ":9092",
            "a:1,",
            "PLAINTEXT://h:1",
            "mock://0",
            "mock://17",
            "mock://",
        ] {
            assert!(text.parse::<Brokers>().is_err(), "{text}");
        }
    }

    #[test]
    fn scalars_become_properties() {
        let read = good(
            "{\"fetch.wait.max.ms\": 50, \"check.crcs\": true, \"client.id\": \"${NAME}\"}",
            properties,
        );
        let shown: Vec<_> = read
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(
            shown,
            [
                ("check.crcs", "true"),
                ("client.id", "zeshi"),
                ("fetch.wait.max.ms", "50")
            ]
        );
    }

    #[test]
    fn properties_that_cannot_be_are_refused_by_name() {
        for (text, wanted) in [
            (
                "{\"group.id\": \"g\"}",
                "`group.id` is the daemon's own: it is the queue entry's",
            ),
            (
                "{\"enable.auto.commit\": true}",
                "`enable.auto.commit` is the daemon's own",
            ),
            (
                "{\"sasl.mechanism\": \"GSSAPI\"}",
                "`sasl.mechanism`: Kerberos",
            ),
            (
                "{\"fetch.wait.max.msec\": 1}",
                "librdkafka refuses it: No such configuration property",
            ),
            (
                "{\"fetch.wait.max.ms\": -1}",
                "librdkafka refuses it: Configuration property",
            ),
            (
                "{\"fetch.wait.max.ms\": 1e3}",
                "librdkafka would read this as 1; a whole",
            ),
            (
                "{\"fetch.wait.max.ms\": \"5s\"}",
                "librdkafka would read this as 5; a whole",
            ),
            (
                "{\"client.id\": []}",
                "wanted a string, a number, `true` or `false`",
            ),
            (
                "{\"max.poll.interval.ms\": 5000}",
                "librdkafka makes no client of these properties: `max.poll.interval.ms`must be >= `session.timeout.ms`; `session.timeout.ms` is 10000",
            ),
            (
                "{\"group.protocol\": \"consumer\", \"session.timeout.ms\": 6000}",
                "with `group.protocol` `consumer` the brokers decide",
            ),
        ] {
            let found = faults(text, properties);
            assert!(
                found.len() == 1 && found[0].contains(wanted),
                "{text} {found:?}"
            );
        }
    }

    #[test]
    fn tls_is_refused_by_a_build_without_it() {
        for text in [
            "{\"security.protocol\": \"SASL_SSL\"}",
            "{\"ssl.ca.location\": \"/a\"}",
            "{\"sasl.mechanisms\": \"SCRAM-SHA-256\"}",
        ] {
            let refused = faults(text, properties)
                .iter()
                .any(|fault| fault.contains("needs TLS"));
            assert_eq!(refused, !HAS_TLS, "{text}");
        }
    }

    #[test]
    fn tokens_are_refused_by_a_build_that_cannot_ask_for_them() {
        for text in [
            "{\"sasl.mechanism\": \"OAUTHBEARER\"}",
            "{\"sasl.oauthbearer.scope\": \"kafka\"}",
        ] {
            let refused = faults(text, properties)
                .iter()
                .any(|fault| fault.contains("the feature `oidc`"));
            assert_eq!(refused, !HAS_OIDC, "{text}");
        }
    }
}
