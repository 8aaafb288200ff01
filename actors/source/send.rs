//! Sending to `table` queues from in-process code: the counterpart of `LPUSH` and of a Kafka producer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::config::{QueueEntry, SourceConfig};
use crate::db::rows::NewMessage;
use crate::db::{Db, DbError};

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No queue entry has this name.
    #[error("no queue is named `{0}`{1}")]
    Unknown(String, String),
    /// The queue is Kafka's or Redis's, which have producers of their own.
    #[error(
        "queue `{0}` is no `table` queue; `Context::kafka` and `Context::redis` give producers for others"
    )]
    Elsewhere(String),
    /// The database did not take the messages.
    #[error("the messages could not be stored")]
    Database(#[from] DbError),
}

/// Sends to queues by the `name` of their entry.
pub(crate) enum Sender {
    /// Through DbActor.
    Database {
        db: Db,
        /// The table of each queue; none where it is another kind.
        tables: BTreeMap<String, Option<String>>,
    },
    /// A test looks at what was sent.
    Test(Arc<Mutex<Vec<(String, Bytes)>>>),
}

impl Sender {
    /// Queues need not be live here to be sent to: other partitions and environments may consume them.
    pub(crate) fn new(db: Db, queues: &[QueueEntry]) -> Self {
        let table = |entry: &QueueEntry| match &entry.source {
            SourceConfig::Table { table } => Some(table.clone()),
            SourceConfig::Kafka { .. } | SourceConfig::Redis { .. } => None,
        };
        let tables = queues
            .iter()
            .map(|entry| (entry.name.clone(), table(entry)));
        Self::Database {
            db,
            tables: tables.collect(),
        }
    }

    /// Answers the ids after the messages are durable.
    pub(crate) async fn send(
        &self,
        queue: &str,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<i64>, SendError> {
        match self {
            Self::Database { db, tables } => {
                let table = table(tables, queue)?;
                if messages.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(db.insert_messages(table, messages).await?)
            }
            Self::Test(sent) => {
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                let first = sent.len();
                sent.extend(messages.into_iter().map(|m| (queue.to_owned(), m.payload)));
                let ids = (first..sent.len()).map(|at| i64::try_from(at + 1).unwrap_or(i64::MAX));
                Ok(ids.collect())
            }
        }
    }
}

fn table(tables: &BTreeMap<String, Option<String>>, queue: &str) -> Result<String, SendError> {
    match tables.get(queue) {
        Some(Some(table)) => Ok(table.clone()),
        Some(None) => Err(SendError::Elsewhere(queue.to_owned())),
        None => {
            let known = tables.keys().cloned().collect();
            let hint = crate::config::did_you_mean(queue, &known);
            Err(SendError::Unknown(queue.to_owned(), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_table_queues_can_be_sent_to() {
        let tables = [
            ("orders".to_owned(), Some("orders_table".to_owned())),
            ("clicks".to_owned(), None),
        ];
        let tables = tables.into();
        assert_eq!(table(&tables, "orders").unwrap(), "orders_table");
        let error = table(&tables, "clicks").unwrap_err().to_string();
        assert!(error.contains("is no `table` queue"), "{error}");
        let error = table(&tables, "ordres").unwrap_err().to_string();
        assert!(error.contains("did you mean `orders`"), "{error}");
    }
}
