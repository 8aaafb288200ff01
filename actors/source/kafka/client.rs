//! The offset at which a group begins.

use std::collections::BTreeMap;

use crate::config::Secret;

/// The beginning of a partition in which the group has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Earliest,
    /// At the end, for the whole group at its first assignment. Partitions that are added later begin at their first record.
    Latest,
}

impl Start {
    pub(super) fn of(properties: &BTreeMap<String, Secret>) -> Self {
        match properties.get("auto.offset.reset").map(Secret::expose) {
            Some("latest" | "largest" | "end") => Self::Latest,
            _ => Self::Earliest,
        }
    }
}
