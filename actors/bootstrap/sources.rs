//! Where each queue entry's messages come from: its source, and what a death in it is called.

use std::sync::Arc;

use super::failure::{Failure, chain};
use crate::config::{Config, QueueEntry, SourceConfig};
use crate::db::Db;
use crate::membership::{Liveness, Owner};
use crate::poison::{Kind, QueueName};
use crate::pool::counted_to;
use crate::rate::{Keeper, Limiter};
use crate::source::replayed::{DueReplays, Replayed, replay_table};
use crate::source::{
    Clusters, IdleTables, KafkaSource, PutOffMessages, RedisQueue, RedisServers, RedisSource,
    Source, Subscription, TableLags, TableSource,
};
use crate::store::rows::{COUNT_CAP, EntryName};
use crate::supervisor::KnownQueue;

/// What sources are made with.
pub(crate) struct Sources {
    /// As at the start: what is taken from it no reload changes.
    pub(crate) config: Arc<Config>,
    pub(crate) db: Db,
    pub(crate) owner: Owner,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) due: Arc<DueReplays>,
    pub(crate) put_off: Arc<PutOffMessages>,
    pub(crate) lags: Arc<TableLags>,
    pub(crate) idle: Arc<IdleTables>,
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) redis: Arc<RedisServers>,
}

impl Sources {
    /// Starts the two tasks that poll for all entries: which replay tables have due rows, and which rows a clock ahead put off.
    /// To be called inside the System.
    pub(super) fn start_watching(&self) {
        let due = Arc::clone(&self.due);
        actix_rt::spawn(async move { due.run().await });
        let put_off = Arc::clone(&self.put_off);
        actix_rt::spawn(async move { put_off.run().await });
    }

    pub(crate) fn of(&self, entry: &QueueEntry) -> Result<Arc<dyn Source>, Failure> {
        Ok(match &entry.source {
            SourceConfig::Table { table } => {
                Arc::new(self.table(table, entry, counted_to(&entry.limits)))
            }
            SourceConfig::Redis { key, server } => {
                let queue = RedisSource::new(RedisQueue {
                    server: self.redis.get(server).map_err(Failure::misused)?,
                    server_name: server.clone(),
                    key: key.clone(),
                    entry: entry_name(entry),
                    rules: entry.retry,
                    db: self.db.clone(),
                    partition: self.config.partition.to_string(),
                    boot: self.owner.boot().to_owned(),
                    heartbeat_interval: self.config.settings.heartbeat_interval,
                });
                self.replayed(entry, queue)
            }
            SourceConfig::Kafka {
                topic,
                group_id,
                cluster,
            } => {
                let subscription = self.subscription(entry, topic, group_id, cluster);
                let home = tokio::runtime::Handle::current();
                let queue = KafkaSource::new(subscription, &self.clusters, self.db.clone(), home);
                let queue = queue.map_err(|cause| {
                    Failure::misused(format!("queue `{}`: {}", entry.name, chain(&cause)))
                })?;
                self.replayed(entry, Arc::new(queue))
            }
        })
    }

    /// Where the entry's limit is kept: with its list, else in the daemon's database.
    pub(super) fn limiter(&self, entry: &QueueEntry) -> Result<Arc<Limiter>, Failure> {
        let of_database = |place: &[&str]| Keeper::database(self.db.clone(), place);
        let keeper = match &entry.source {
            SourceConfig::Table { table } => of_database(&["table", table]),
            SourceConfig::Kafka {
                topic,
                group_id,
                cluster,
            } => of_database(&["kafka", cluster, topic, group_id]),
            SourceConfig::Redis { key, server } => Keeper::Redis {
                server: self.redis.get(server).map_err(Failure::misused)?,
                list: key.clone(),
            },
        };
        Ok(Limiter::new(&entry.name, entry.rate_limit, keeper))
    }

    /// The queues whose crashes this daemon records, by their names in slots. For an entry outside the database also the
    /// table of its replayed dead letters.
    pub(crate) fn known(&self, entry: &QueueEntry) -> Vec<KnownQueue> {
        let known = |kind, name: &QueueName| KnownQueue {
            kind,
            source: name.as_str().to_owned(),
            entry: entry_name(entry),
            rules: entry.retry,
        };
        let dead_letters = || {
            let table = replay_table(self.config.partition.as_ref(), &entry.name);
            known(Kind::Queue, &QueueName::new(Kind::Queue, &table))
        };
        match &entry.source {
            SourceConfig::Table { table } => {
                vec![known(Kind::Queue, &QueueName::new(Kind::Queue, table))]
            }
            SourceConfig::Redis { key, server } => {
                let list = RedisSource::slot_name(server, key);
                vec![dead_letters(), known(Kind::Redis, &list)]
            }
            SourceConfig::Kafka {
                topic,
                group_id,
                cluster,
            } => {
                let subscription = self.subscription(entry, topic, group_id, cluster);
                vec![
                    dead_letters(),
                    known(Kind::Kafka, &subscription.slot_name()),
                ]
            }
        }
    }

    /// After a reload: nobody asks for what other tables hold any more.
    pub(crate) fn keep<'a>(&self, entries: impl Iterator<Item = &'a QueueEntry>) {
        let tables = entries.map(|entry| self.table_of(entry)).collect();
        self.due.keep(&tables);
        self.put_off.keep(&tables);
    }

    /// Its own, or that of its replayed dead letters.
    fn table_of(&self, entry: &QueueEntry) -> String {
        match &entry.source {
            SourceConfig::Table { table } => table.clone(),
            SourceConfig::Redis { .. } | SourceConfig::Kafka { .. } => {
                replay_table(self.config.partition.as_ref(), &entry.name)
            }
        }
    }

    fn table(&self, table: &str, entry: &QueueEntry, lag_cap: u64) -> TableSource {
        self.put_off
            .note(table, &entry.name, entry.retry.backoff.max);
        TableSource::new(
            self.db.clone(),
            self.owner.to_string(),
            Arc::clone(&self.liveness),
            table,
            entry_name(entry),
        )
        .with_lags(Arc::clone(&self.lags), lag_cap)
        .with_idle(Arc::clone(&self.idle))
    }

    fn subscription(
        &self,
        entry: &QueueEntry,
        topic: &str,
        group: &str,
        cluster: &str,
    ) -> Subscription {
        Subscription {
            entry: entry_name(entry),
            topic: topic.to_owned(),
            group: group.to_owned(),
            cluster: cluster.to_owned(),
            partition: self.config.partition.to_string(),
        }
    }

    /// A queue outside the database, and beside it the replayed dead letters of its entry.
    fn replayed(&self, entry: &QueueEntry, queue: Arc<dyn Source>) -> Arc<dyn Source> {
        let table = self.table_of(entry);
        let dead_letters = self.table(&table, entry, COUNT_CAP);
        Arc::new(Replayed::new(queue, dead_letters, self.due.of(table)))
    }
}

fn entry_name(entry: &QueueEntry) -> EntryName {
    EntryName {
        name: entry.name.clone(),
        exec_cmd: entry.exec_cmd.clone(),
    }
}
