//! Where a group begins.

use std::collections::BTreeMap;

use crate::config::Secret;

/// Where a partition begins of which the group has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Earliest,
    /// The whole group does, at its first assignment; partitions that are added later begin at their first record.
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
