//! What handlers receive: a message of a queue, a delayed task, a run of a cron entry.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::trace::Trace;

/// A message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Names the message within its source.
    pub id: String,
    /// The bytes as the producer wrote them. Small ones may share up to 16 KB of memory with those of other messages: copy
    /// what is kept for long.
    pub payload: Bytes,
    /// The record's key, where the source has keys.
    pub key: Option<Bytes>,
    /// The record's headers, where the source has them.
    pub headers: Vec<(String, Bytes)>,
    /// Where it came from.
    pub source: MessageSource,
    /// 1 for the first attempt.
    pub attempt: u32,
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageSource {
    /// The `name` of the queue entry.
    pub queue: Arc<str>,
    /// The place it was read from.
    pub kind: SourceKind,
}

/// The place a message was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// A `table` queue in the daemon's own database.
    Table {
        /// The entry's `table`.
        table: Arc<str>,
    },
    /// A Redis list.
    Redis {
        /// The server's name in the settings.
        server: Arc<str>,
        /// The entry's `key`.
        key: Arc<str>,
    },
    /// A dead letter that came from elsewhere, and was made to run again by `dead replay`. The message has the id that
    /// it had there.
    DeadLetter {
        /// `redis` or `kafka`.
        kind: Arc<str>,
        /// The list or the topic.
        source: Arc<str>,
    },
    /// A record of a Kafka topic.
    Kafka {
        /// The entry's `topic`.
        topic: Arc<str>,
        /// Its partition.
        partition: i32,
        /// Its offset within the partition.
        offset: i64,
        /// As the producer or the broker stamped it, in unix milliseconds; none in the oldest format.
        timestamp_ms: Option<i64>,
    },
    /// Made by hand, for a test.
    Test,
}

impl Message {
    /// The trace that its headers name; none of a Redis list.
    pub fn trace(&self) -> Option<Trace> {
        Trace::of_headers(&self.headers)
    }

    /// A message with this payload and nothing else, for tests of handlers.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self {
            id: "1".to_owned(),
            payload: payload.into(),
            key: None,
            headers: Vec::new(),
            source: MessageSource {
                queue: "test".into(),
                kind: SourceKind::Test,
            },
            attempt: 1,
        }
    }
}

/// A delayed task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Task {
    /// Its row in `delay_queue_log`.
    pub id: i64,
    /// The name it was pushed with.
    pub name: String,
    /// The params it was pushed with.
    pub params: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// The trace of the handler that pushed it.
    pub trace: Option<Trace>,
}

impl Task {
    /// A task with these params, due now, for tests of handlers.
    pub fn new(params: impl Into<String>) -> Self {
        Self {
            id: 1,
            name: "test".to_owned(),
            params: params.into(),
            attempt: 1,
            due: Utc::now(),
            trace: None,
        }
    }
}

/// A run of a cron entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// Names the run; empty when it was started by hand without one.
    pub uk: String,
    /// The entry's name; the command's when it was started by hand.
    pub name: String,
    /// The entry's params, as they stand in the file.
    pub params: String,
    /// The second it was scheduled for; none when it was started by hand.
    pub scheduled: Option<DateTime<Utc>>,
    /// A trace that begins with this fire; that of the environment when it was started by hand.
    pub trace: Option<Trace>,
}

impl Run {
    /// A run with these params, started by hand.
    pub fn new(params: impl Into<String>) -> Self {
        Self {
            uk: String::new(),
            name: "test".to_owned(),
            params: params.into(),
            scheduled: None,
            trace: None,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Message {}
    impl Sealed for super::Task {}
    impl Sealed for super::Run {}
}

/// What a handler can be called with: [`Message`], [`Task`] or [`Run`].
pub trait Job: sealed::Sealed + 'static {
    /// What [`Json`](crate::Json) parses: the payload, or the params.
    fn body(&self) -> &[u8];
    /// The trace that it belongs to.
    fn trace(&self) -> Option<Trace>;
}

impl Job for Message {
    fn body(&self) -> &[u8] {
        &self.payload
    }

    fn trace(&self) -> Option<Trace> {
        Self::trace(self)
    }
}

impl Job for Task {
    fn body(&self) -> &[u8] {
        self.params.as_bytes()
    }

    fn trace(&self) -> Option<Trace> {
        self.trace.clone()
    }
}

impl Job for Run {
    fn body(&self) -> &[u8] {
        self.params.as_bytes()
    }

    fn trace(&self) -> Option<Trace> {
        self.trace.clone()
    }
}
