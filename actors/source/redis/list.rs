//! One list, which all parts of its source share: its server, its names, and the commands that it alone is refused.

use tokio::runtime::Handle;

use super::RedisQueue;
use super::server::Server;
use super::trouble::Trouble;
use crate::poison::{Kind, QueueName};

/// See the module's header.
pub(super) struct List {
    pub(super) config: RedisQueue,
    /// As slots name it.
    pub(super) name: QueueName,
    /// A runtime without business code: the tasks of the source run there.
    pub(super) home: Handle,
    pub(super) trouble: Trouble,
}

impl List {
    /// To be called inside the runtime that becomes its `home`.
    pub(super) fn new(config: RedisQueue) -> Self {
        Self {
            name: slot_name(&config.server_name, &config.key),
            trouble: Trouble::new(&config.entry.name),
            home: Handle::current(),
            config,
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.config.server
    }

    /// Its name at the server.
    pub(super) fn key(&self) -> &str {
        &self.config.key
    }

    /// The entry's name, for the log.
    pub(super) fn queue(&self) -> &str {
        &self.config.entry.name
    }
}

/// As slots name queues of this kind.
pub(super) fn slot_name(server: &str, key: &str) -> QueueName {
    QueueName::new(Kind::Redis, &format!("{server}/{key}"))
}
