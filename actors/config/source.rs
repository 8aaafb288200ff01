//! Where a queue entry's messages come from: a Kafka topic, a Redis list, or our own table.

use super::settings::ServerNames;
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::quote;

/// The longest topic, by Kafka's own rule.
const LONGEST_TOPIC: usize = 249;
/// The longest name of a group, list or table queue: they stand in varchar(255) columns.
const LONGEST: usize = 255;
/// How the tables begin in which dead letters of Kafka and Redis entries wait to run again.
pub(crate) const REPLAY_PREFIX: &str = "dead:";
/// The keys of each kind of source.
const GROUPS: [&[&str]; 3] = [&["topic", "group_id"], &["key"], &["table"]];
/// The server that is meant where none is named.
const DEFAULT_SERVER: &str = "default";

/// What is right, for an entry without a source or with several.
const KINDS: &str = "one of `topic` with `group_id` (Kafka), `key` (a Redis list), `table` (the daemon's own database)";

/// One source; two entries that can be live together must not share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SourceConfig {
    /// A topic and consumer group of one of the named clusters.
    Kafka {
        topic: String,
        group_id: String,
        cluster: String,
    },
    /// A list of one of the named servers.
    Redis { key: String, server: String },
    /// A durable queue inside the daemon's own database.
    Table { table: String },
}

impl SourceConfig {
    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Table { table } => format!("table `{table}`"),
            Self::Redis { key, .. } => format!("Redis list `{key}`"),
            Self::Kafka { topic, .. } => format!("Kafka topic `{topic}`"),
        }
    }

    /// Reads the keys of the three kinds, of which exactly one must be there.
    pub(super) fn read(entry: &Node<'_>, o: &Object<'_, '_>) -> Option<Self> {
        o.needs_one_of(&GROUPS);
        let topic = filled(o, "topic", LONGEST_TOPIC);
        let group_id = filled(o, "group_id", LONGEST);
        let key = filled(o, "key", LONGEST);
        let table = filled(o, "table", LONGEST);
        let server = o.optional("redis", DEFAULT_SERVER.to_owned(), |node| {
            node.text(LONGEST)
        });
        let cluster = o.optional("kafka", DEFAULT_SERVER.to_owned(), |node| {
            node.text(LONGEST)
        });
        let (topic, group_id, key, table) = (topic?, group_id?, key?, table?);

        let found = [
            ("`topic`", &topic),
            ("`group_id`", &group_id),
            ("`key`", &key),
            ("`table`", &table),
        ];
        let found: Vec<&str> = found
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|_| name))
            .collect();
        let kinds = [
            topic.is_some() || group_id.is_some(),
            key.is_some(),
            table.is_some(),
        ];
        match kinds.into_iter().filter(|is| *is).count() {
            0 => {
                let keys = ["topic", "group_id", "key", "table"];
                o.lacks(&keys, o.here(), format!("a source is missing: {KINDS}"));
                return None;
            }
            1 => {}
            _ => {
                entry.fault(format!("wanted {KINDS}, found {}", found.join(" and ")));
                return None;
            }
        }
        let source = match (topic, group_id, key, table) {
            (Some(topic), Some(group_id), ..) => {
                check_topic(&o.place_of("topic"), &topic)?;
                Self::Kafka {
                    topic,
                    group_id,
                    cluster: cluster?,
                }
            }
            (Some(_), None, ..) => {
                let message = "`topic` needs a `group_id`, the consumer group";
                o.lacks(&["group_id"], o.place_of("topic"), message);
                return None;
            }
            (None, Some(_), ..) => {
                o.lacks(
                    &["topic"],
                    o.place_of("group_id"),
                    "`group_id` needs a `topic`",
                );
                return None;
            }
            (.., Some(key), _) => Self::Redis {
                key,
                server: server?,
            },
            (.., Some(table)) => {
                check_table(&o.place_of("table"), &table)?;
                Self::Table { table }
            }
            (.., None) => return None,
        };
        source.check_foreign_server(o)?;
        Some(source)
    }

    /// What is wrong with the server it names: the settings do not know it.
    pub(super) fn unknown_server(&self, servers: &ServerNames) -> Option<(&'static str, String)> {
        let (section, known, name) = match self {
            Self::Kafka { cluster, .. } => ("kafka", &servers.kafka, cluster),
            Self::Redis { server, .. } => ("redis", &servers.redis, server),
            Self::Table { .. } => return None,
        };
        if known.contains(name) {
            return None;
        }
        let names = known.iter().map(String::as_str);
        let hint = crate::jsonc::suggest::hint(name, "it has", names);
        let name = quote::name(name);
        Some((
            section,
            format!("`{section}` of {} has no server {name}{hint}", servers.file),
        ))
    }

    /// A server of another kind than the source is a mistake, not a superfluous word.
    fn check_foreign_server(&self, o: &Object<'_, '_>) -> Option<()> {
        let foreign: &[&'static str] = match self {
            Self::Kafka { .. } => &["redis"],
            Self::Redis { .. } => &["kafka"],
            Self::Table { .. } => &["redis", "kafka"],
        };
        let found: Vec<Node<'_>> = foreign.iter().filter_map(|key| o.get(key)).collect();
        for node in &found {
            node.fault("this entry's source is of another kind; leave the key out");
        }
        found.is_empty().then_some(())
    }
}

/// A string where it is there and not empty: as in Go, an empty one and `null` mean absent.
fn filled(o: &Object<'_, '_>, key: &'static str, longest: usize) -> Option<Option<String>> {
    let text = o.maybe(key, |node| {
        let text = node.string()?;
        node.within(&text, longest)?;
        if !text.is_empty() {
            node.printable(&text)?;
        }
        Some(text)
    })?;
    Some(text.filter(|text| !text.is_empty()))
}

fn check_table(node: &Node<'_>, table: &str) -> Option<()> {
    if table.starts_with(REPLAY_PREFIX) {
        node.fault(format!(
            "`{REPLAY_PREFIX}` begins the names of tables in which dead letters wait to run again; another name would be right"
        ));
        return None;
    }
    Some(())
}

fn check_topic(node: &Node<'_>, topic: &str) -> Option<()> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bad = topic.find(|c| !is_allowed(c));
    match bad {
        Some(offset) => {
            node.fault_inside(
                offset,
                "a topic's name has only letters, digits, `.`, `_` and `-`",
            );
            None
        }
        None if matches!(topic, "." | "..") => node.wanted("a topic's name"),
        None => Some(()),
    }
}
