//! Who this process is: a partition and a boot, never a partition alone.

use std::fmt;

use uuid::Uuid;

use crate::config::Partition;

/// Owner of rows: `partition/boot`. At most 20 + 1 + 32 characters, within the 64 of the column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    partition: Partition,
    boot: String,
}

impl Owner {
    /// A new boot of the partition.
    pub(crate) fn new(partition: Partition) -> Self {
        Self {
            partition,
            boot: Uuid::new_v4().simple().to_string(),
        }
    }

    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.boot)
    }
}

/// The partition in an owner as it stands in a row.
pub(crate) fn partition_of(owner: &str) -> &str {
    owner
        .split_once('/')
        .map_or(owner, |(partition, _)| partition)
}

/// This machine's name, for people and for `boot.host`.
pub(crate) fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
