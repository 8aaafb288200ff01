//! Sending one message under an idempotency key: a repetition sends nothing more.
//!
//! For a `table` queue the rows of the key and the message are written in one transaction: there is exactly one message. A
//! message of Redis or Kafka cannot be part of a transaction. Its key is claimed first, the message is sent, then the key is
//! marked as done. A process that dies between the last two steps leaves a claim: a repetition waits until the claim has
//! expired (`CLAIM_MS`), and sends the message again. So the message is sent at least once, and exactly once where no process
//! died, no answer of the queue's server was lost, and the database was there at the end. Records of Kafka have the key as a
//! header, by which a consumer recognizes the second one.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::send::{Queues, SendError, Sender, add_trace};
use crate::config::SourceConfig;
use crate::store::headers;
use crate::store::idempotency::{
    CLAIM_MS, KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert, KeyedRows, NewKey,
};
use crate::store::rows::NewMessage;
use crate::store::write::{ClaimKey, EndKey, InsertKeyed};

/// The header of a Kafka record that was sent under a key.
pub(crate) const KEY_HEADER: &str = "idempotency-key";
/// Between two attempts to claim a key that another process has. Sends take milliseconds.
const PAUSE: Duration = Duration::from_millis(100);
/// Added to the duration of a claim, as the clocks of the database and this process run at different rates.
const MARGIN: Duration = Duration::from_secs(1);

/// The outcome of sending a message with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentOnce {
    /// The id of the row, for a `table` queue.
    pub(crate) id: Option<i64>,
    /// Sent by this call, not by an earlier one with the same key.
    pub(crate) is_new: bool,
}

impl Sender {
    /// Returns after the message is durable.
    pub(crate) async fn send_once(
        &self,
        queue: &str,
        key: &str,
        message: NewMessage,
    ) -> Result<SentOnce, SendError> {
        if let Some(refusal) = NewKey::refusal(key) {
            return Err(SendError::Key(refusal));
        }
        match self {
            Self::Queues(queues) => queues.send_once(queue, key, message).await,
            Self::Test(sends) => {
                let mut sends = sends.lock();
                let sent = (queue.to_owned(), message.payload);
                let at = sends.keys.get(key).copied();
                if at.is_some_and(|at| sends.sent[at] != sent) {
                    let named = format!("the idempotency key `{key}` named another message before");
                    return Err(SendError::Key(named));
                }
                if at.is_none() {
                    let at = sends.sent.len();
                    sends.keys.insert(key.to_owned(), at);
                    sends.sent.push(sent);
                }
                let id = sends.keys.get(key).map(|at| at + 1);
                Ok(SentOnce {
                    id: id.and_then(|id| i64::try_from(id).ok()),
                    is_new: at.is_none(),
                })
            }
        }
    }
}

/// The key, with a digest of all that the caller wrote. It depends on the kind of queue: where an entry has moved, a row that
/// was sent proves nothing about a message of another server.
fn new_key(kind: &str, queue: &str, key: &str, message: &NewMessage) -> NewKey {
    let headers = headers::encode(&message.headers).unwrap_or_default();
    // A message with an empty key is another one than a message without.
    let of_message = match &message.key {
        Some(of_message) => [b"k", &of_message[..]].concat(),
        None => Vec::new(),
    };
    let parts: [(&str, &[u8]); 4] = [
        ("queue", queue.as_bytes()),
        ("payload", &message.payload),
        ("key", &of_message),
        ("headers", headers.as_bytes()),
    ];
    NewKey::new(key, kind, &parts)
}

fn differs(key: &str, before: &str) -> SendError {
    SendError::Key(format!(
        "the idempotency key `{key}` named {before} before; a repetition must be the same, anything else needs a key of its own"
    ))
}

impl Queues {
    async fn send_once(
        &self,
        queue: &str,
        key: &str,
        mut message: NewMessage,
    ) -> Result<SentOnce, SendError> {
        match self.routes.source(queue)? {
            SourceConfig::Table { table } => {
                let new_key = new_key("message", queue, key, &message);
                self.insert_once(table, new_key, message).await
            }
            SourceConfig::Redis { .. } => {
                if message.key.is_some() || !message.headers.is_empty() {
                    return Err(SendError::Bare(queue.to_owned()));
                }
                let new_key = new_key("message-of-a-server", queue, key, &message);
                self.claim_and_send(queue, new_key, message).await
            }
            SourceConfig::Kafka { .. } => {
                let new_key = new_key("message-of-a-server", queue, key, &message);
                let header = (KEY_HEADER.to_owned(), Bytes::from(key.to_owned()));
                message.headers.push(header);
                self.claim_and_send(queue, new_key, message).await
            }
        }
    }

    async fn insert_once(
        &self,
        table: String,
        key: NewKey,
        mut message: NewMessage,
    ) -> Result<SentOnce, SendError> {
        add_trace(&mut message);
        let text = key.key.clone();
        let insert = KeyedInsert {
            rows: KeyedRows::Messages {
                queue: table.clone(),
                rows: vec![message],
            },
            keys: vec![Some(key)],
        };
        match self.db.write(InsertKeyed(insert)).await? {
            Keyed::Rows(rows) => {
                let row = rows.first();
                if row.is_some_and(|row| row.is_new) {
                    self.db.ring(&table);
                }
                Ok(SentOnce {
                    id: row.map(|row| row.id),
                    is_new: row.is_some_and(|row| row.is_new),
                })
            }
            Keyed::Differs(difference) => Err(differs(&text, &difference.before)),
        }
    }

    async fn claim_and_send(
        &self,
        queue: &str,
        new_key: NewKey,
        message: NewMessage,
    ) -> Result<SentOnce, SendError> {
        let key = new_key.key.clone();
        let claim = KeyClaim {
            key: new_key,
            owner: uuid::Uuid::new_v4().to_string(),
        };
        let owner = claim.owner.clone();
        let (id, until) = (
            None,
            Instant::now() + Duration::from_millis(CLAIM_MS.unsigned_abs()) + MARGIN,
        );
        let again = loop {
            match self.db.write(ClaimKey(claim.clone())).await? {
                KeyClaimed::Ours { again } => break again,
                KeyClaimed::Done => return Ok(SentOnce { id, is_new: false }),
                KeyClaimed::Differs(before) => return Err(differs(&key, &before)),
                KeyClaimed::Busy { .. } if Instant::now() > until => {
                    return Err(SendError::Busy(key));
                }
                KeyClaimed::Busy { .. } => tokio::time::sleep(PAUSE).await,
            }
        };
        let sent = self.send(queue, vec![message]).await;
        let end = match &sent {
            Ok(_) => KeyEnd::Sent,
            Err(SendError::Refused {
                in_doubt: false, ..
            }) if !again => KeyEnd::Unsent,
            Err(_) => KeyEnd::InDoubt,
        };
        let ended = self.db.write(EndKey { key, owner, end }).await;
        sent?;
        match ended {
            Ok(()) => Ok(SentOnce { id, is_new: true }),
            Err(cause) => Err(SendError::Unmarked {
                queue: queue.to_owned(),
                cause,
            }),
        }
    }
}
