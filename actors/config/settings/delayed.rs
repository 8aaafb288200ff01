//! `delayed`: time limit and retries of delayed tasks, by their `exec_cmd`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Reading;
use crate::config::commands::Kind;
use crate::config::retry::{self, RetryRules};
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::quote;

/// Time limit and retries of one delayed task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DelayedSettings {
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How often and when it is tried again.
    pub retry: RetryRules,
}

pub(super) fn delayed(
    node: &Node<'_>,
    reading: &mut Reading<'_>,
) -> Option<BTreeMap<String, DelayedSettings>> {
    let all: Vec<_> = node
        .entries()?
        .into_iter()
        .map(|(command, node)| {
            // An empty name is reported already.
            if let Some(message) = reading.commands.missing(Kind::Delayed, &command, &command)
                && !command.is_empty()
            {
                node.fault(message);
            }
            let settings = node.object(|o| {
                let settings = DelayedSettings::read(o)?;
                let of = format!("`delayed.{}`", quote::short(&command));
                reading.note_idle_retry_keys(o, &of, settings.retry);
                Some(settings)
            });
            (command, settings)
        })
        .collect();
    all.into_iter()
        .map(|(command, value)| Some((command, value?)))
        .collect()
}

impl DelayedSettings {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let timeout = retry::timeout(o);
        let retry = RetryRules::read(o);
        Some(Self {
            timeout: timeout?,
            retry: retry?,
        })
    }
}
