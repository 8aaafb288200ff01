//! Where a dead letter runs again: through its entry in the configuration that is read here.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::{Config, Environment, QueueEntry, SourceConfig, did_you_mean};
use crate::source::replayed::replay_table;
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};
use crate::store::rows::{DeadLetterHead, ReplayTo};

/// The way back for dead letters. By default there is none.
#[derive(Default)]
pub(crate) struct Targets {
    environment: Environment,
    partition: String,
    /// All entries, live or not; others after a reload.
    queues: RwLock<Arc<[QueueEntry]>>,
    /// The delayed tasks that have a handler.
    delayed: BTreeSet<String>,
}

impl Targets {
    pub(crate) fn new(config: &Config, delayed: BTreeSet<String>) -> Self {
        Self {
            environment: config.environment,
            partition: config.partition.to_string(),
            queues: RwLock::new(config.queues.clone().into()),
            delayed,
        }
    }

    /// From now on these are the entries.
    pub(crate) fn set(&self, queues: &[QueueEntry]) {
        *self.queues.write() = queues.into();
    }

    /// Where the dead letter runs, and what that is called; or why it cannot run here.
    pub(crate) fn of(&self, dead_letter: &DeadLetterHead) -> Result<(ReplayTo, String), String> {
        if dead_letter.kind == KIND_DELAY {
            return self.delayed(dead_letter);
        }
        let queues = Arc::clone(&self.queues.read());
        let entry = self.entry(dead_letter, &queues)?;
        if !entry.live {
            return Err(format!(
                "its queue is not live here: {}",
                entry.why_not_live(self.environment)
            ));
        }
        let queue = match &entry.source {
            SourceConfig::Table { table } => table.clone(),
            SourceConfig::Kafka { .. } | SourceConfig::Redis { .. } => {
                replay_table(&self.partition, &entry.name)
            }
        };
        Ok((ReplayTo::Queue(queue), format!("queue `{}`", entry.name)))
    }

    fn delayed(&self, dead_letter: &DeadLetterHead) -> Result<(ReplayTo, String), String> {
        let exec_cmd = &dead_letter.exec_cmd;
        if !self.delayed.contains(exec_cmd) {
            let hint = did_you_mean(exec_cmd, &self.delayed);
            return Err(format!("no delayed task `{exec_cmd}` is registered{hint}"));
        }
        Ok((ReplayTo::DelayQueue, format!("delayed task `{exec_cmd}`")))
    }

    /// The entry it came through; one that was renamed since is known by its source. A dead letter of another partition
    /// is ours only if it came from the same source: entries of two partitions may share a name and nothing else.
    fn entry<'q>(
        &self,
        dead_letter: &DeadLetterHead,
        queues: &'q [QueueEntry],
    ) -> Result<&'q QueueEntry, String> {
        let named = queues.iter().find(|entry| entry.name == dead_letter.name);
        let ours = dead_letter.partition == self.partition;
        let entry = named.filter(|entry| ours || came_from(dead_letter, entry));
        let entry = entry.or_else(|| queues.iter().find(|entry| came_from(dead_letter, entry)));
        entry.ok_or_else(|| match ours {
            true => {
                let known = queues.iter().map(|entry| entry.name.clone()).collect();
                let hint = did_you_mean(&dead_letter.name, &known);
                format!("no queue `{}` is configured here{hint}", dead_letter.name)
            }
            false => format!(
                "its queue `{}` is partition `{}`'s: `--partition {}` would be right",
                dead_letter.name, dead_letter.partition, dead_letter.partition
            ),
        })
    }
}

fn came_from(dead_letter: &DeadLetterHead, entry: &QueueEntry) -> bool {
    let (kind, source) = match &entry.source {
        SourceConfig::Table { table } => (KIND_TABLE, table),
        SourceConfig::Redis { key, .. } => ("redis", key),
        SourceConfig::Kafka { topic, .. } => ("kafka", topic),
    };
    (kind, source.as_str()) == (dead_letter.kind.as_str(), dead_letter.source.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Commands, Environment, Partition, Places, load};
    use serde_json::{Value, json};

    fn entry(name: &str, source: Value, status: u8) -> Value {
        let mut entry = json!({
            "name": name, "exec_cmd": "order", "progress": 1, "progress_lag_limit": 1, "progress_avg_msgcount": 1,
            "status": status,
        });
        let object = entry.as_object_mut().unwrap();
        object.extend(source.as_object().unwrap().clone());
        entry
    }

    fn config() -> Config {
        let dir = tempfile::tempdir().unwrap();
        let queues = json!([
            entry("orders", json!({"table": "orders_table"}), 1),
            entry("list", json!({"key": "l"}), 1),
            entry("clicks", json!({"topic": "clicks", "group_id": "g"}), 1),
            entry("later", json!({"table": "later"}), 4),
        ]);
        let files = [
            ("dev.json", json!({})),
            ("queue_script1.json", queues),
            ("crontab_script1.json", json!([])),
        ];
        for (file, content) in files {
            std::fs::write(dir.path().join(file), content.to_string()).unwrap();
        }
        let places = Places {
            etc: dir.path().to_owned(),
            environment: Environment::Dev,
            partition: Partition::default(),
        };
        let commands = Commands {
            consumers: ["order".to_owned()].into(),
            ..Commands::default()
        };
        load(&places, &commands).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn dead_letter(kind: &str, source: &str, name: &str, partition: &str) -> DeadLetterHead {
        DeadLetterHead {
            id: 7,
            kind: kind.to_owned(),
            source: source.to_owned(),
            name: name.to_owned(),
            exec_cmd: "remind".to_owned(),
            partition: partition.to_owned(),
            error: "boom".to_owned(),
            died_ms: 1000,
        }
    }

    fn target(dead_letter: &DeadLetterHead) -> Result<ReplayTo, String> {
        let targets = Targets::new(&config(), ["remind".to_owned()].into());
        targets.of(dead_letter).map(|(to, _)| to)
    }

    #[test]
    fn a_dead_letter_runs_through_its_entry() {
        let queue = |name: &str| Ok(ReplayTo::Queue(name.to_owned()));
        let cases = [
            (
                dead_letter("queue", "orders_table", "orders", "script1"),
                queue("orders_table"),
            ),
            (
                dead_letter("redis", "l", "list", "script1"),
                queue("dead:script1:list"),
            ),
            (
                dead_letter("kafka", "clicks", "clicks", "script1"),
                queue("dead:script1:clicks"),
            ),
            (
                dead_letter("delay", "delay_queue_log", "any name", "script9"),
                Ok(ReplayTo::DelayQueue),
            ),
            // The entry was renamed, or has another source now.
            (
                dead_letter("redis", "l", "old name", "script1"),
                queue("dead:script1:list"),
            ),
            (
                dead_letter("redis", "old list", "orders", "script1"),
                queue("orders_table"),
            ),
            // Another partition's, which reads the same source here.
            (
                dead_letter("redis", "l", "list", "script2"),
                queue("dead:script1:list"),
            ),
        ];
        for (dead_letter, wanted) in cases {
            assert_eq!(target(&dead_letter), wanted, "{dead_letter:?}");
        }
    }

    #[test]
    fn an_unrunnable_dead_letter_is_refused() {
        let gone = DeadLetterHead {
            exec_cmd: "remidn".to_owned(),
            ..dead_letter("delay", "delay_queue_log", "n", "script1")
        };
        let cases = [
            (
                dead_letter("queue", "t", "ordesr", "script1"),
                "did you mean `orders`",
            ),
            (
                dead_letter("queue", "later", "later", "script1"),
                "status 4 is release; this is dev",
            ),
            (
                dead_letter("redis", "other", "orders", "script2"),
                "`--partition script2` would be right",
            ),
            (gone, "did you mean `remind`"),
        ];
        for (dead_letter, why) in cases {
            let refused = target(&dead_letter).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
