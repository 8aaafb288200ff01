//! The names of servers, without what stands behind them.

use std::collections::BTreeSet;

use super::Settings;
use crate::jsonc::node::Node;

/// The servers that queue entries may name.
pub(in crate::config) struct ServerNames {
    /// The settings file, for messages.
    pub(in crate::config) file: String,
    pub(in crate::config) redis: BTreeSet<String>,
    pub(in crate::config) kafka: BTreeSet<String>,
}

impl ServerNames {
    /// The names alone: known even where what stands behind them is faulty.
    pub(in crate::config) fn read(file: &str, root: &Node<'_>) -> Self {
        let d = Settings::default();
        Self {
            file: file.to_owned(),
            redis: root
                .member_names("redis")
                .unwrap_or_else(|| d.redis.into_keys().collect()),
            kafka: root
                .member_names("kafka")
                .unwrap_or_else(|| d.kafka.into_keys().collect()),
        }
    }
}
