//! The key `alert`: the receivers that alerts go to, and the address that a living daemon calls.

mod auth;
mod environments;
mod ping;
mod rules;
#[cfg(test)]
mod tests;
mod webhook;

#[cfg(test)]
pub(crate) use self::rules::alert_rules_of;
pub(crate) use self::webhook::json_key;
pub use self::{
    auth::WebhookAuth,
    ping::Ping,
    rules::{
        AlertRules, AlertSeverity, CronRule, DiskRule, EventRule, LagRule, LateRule, OutageRule,
        RestartRule,
    },
    webhook::{Webhook, WebhookKind},
};
use crate::jsonc::node::Node;

/// Where alerts go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// Each gets each alert.
    pub webhooks: Vec<Webhook>,
    /// Called each minute while the daemon, its database and its actors work.
    pub ping: Option<Ping>,
    /// The daemon's own alerts.
    pub rules: AlertRules,
}

impl AlertSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let webhooks = o.optional("webhooks", Vec::new(), webhook::read_all);
            let ping = o.maybe("ping", Ping::read);
            let rules = o.optional("rules", AlertRules::default(), AlertRules::read);
            Some(Self {
                webhooks: webhooks?,
                ping: ping?,
                rules: rules?,
            })
        })
    }
}
