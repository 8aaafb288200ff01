//! The key `alert`: the receivers that alerts go to, and the address that a living daemon calls.

mod auth;
mod environments;
mod ping;
#[cfg(test)]
mod tests;
mod webhook;

pub(crate) use self::webhook::json_key;
pub use self::{
    auth::WebhookAuth,
    ping::Ping,
    webhook::{Webhook, WebhookKind},
};
use crate::config::node::Node;

/// Where alerts go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// Each gets each alert.
    pub webhooks: Vec<Webhook>,
    /// Called each minute while the daemon, its database and its actors work.
    pub ping: Option<Ping>,
}

impl AlertSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let webhooks = o.optional("webhooks", Vec::new(), webhook::read_all);
            let ping = o.maybe("ping", Ping::read);
            Some(Self {
                webhooks: webhooks?,
                ping: ping?,
            })
        })
    }
}
