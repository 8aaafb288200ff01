//! The key `alert`: the webhooks that alerts go to.

use url::Url;

use crate::config::{node::Node, secret::Secret};

/// The kinds by name.
const KINDS: [(&str, WebhookKind); 5] = [
    ("feishu", WebhookKind::Feishu),
    ("wecom", WebhookKind::WeCom),
    ("dingtalk", WebhookKind::DingTalk),
    ("slack", WebhookKind::Slack),
    ("json", WebhookKind::Json),
];

/// The hosts that say which kind a webhook is.
const HOSTS: [(&str, WebhookKind); 5] = [
    ("open.feishu.cn", WebhookKind::Feishu),
    ("open.larksuite.com", WebhookKind::Feishu),
    ("qyapi.weixin.qq.com", WebhookKind::WeCom),
    ("oapi.dingtalk.com", WebhookKind::DingTalk),
    ("hooks.slack.com", WebhookKind::Slack),
];

/// Where alerts go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// Each gets each alert.
    pub webhooks: Vec<Webhook>,
}

/// One receiver of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address, whose path or query is its password.
    pub url: Secret,
    /// The form of the message.
    pub kind: WebhookKind,
}

/// The forms of message that receivers understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookKind {
    /// Feishu, also called Lark.
    Feishu,
    /// WeCom, the WeChat of companies.
    WeCom,
    /// DingTalk.
    DingTalk,
    /// Slack.
    Slack,
    /// Plain JSON.
    Json,
}

impl AlertSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let webhooks = o.optional("webhooks", Vec::new(), |node| {
                let all: Vec<_> = node.array()?.iter().map(webhook).collect();
                all.into_iter().collect()
            });
            Some(Self {
                webhooks: webhooks?,
            })
        })
    }
}

/// An address, whose host says the kind, or `{"url": …, "kind": …}`.
fn webhook(node: &Node<'_>) -> Option<Webhook> {
    if !node.is_object() {
        let (url, kind) = address(node)?;
        return Some(Webhook { url, kind });
    }
    node.object(|o| {
        let url = o.required("url", "the webhook's address, `https://…`", address);
        let kind = o.maybe("kind", |node| node.one_of(&KINDS));
        let ((url, by_host), kind) = (url?, kind?);
        Some(Webhook {
            url,
            kind: kind.unwrap_or(by_host),
        })
    })
}

fn address(node: &Node<'_>) -> Option<(Secret, WebhookKind)> {
    let text = node.secret_string()?;
    let url = match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => url,
        _ => {
            node.fault("this is no address of a webhook; `https://…` would be right");
            return None;
        }
    };
    let kind = HOSTS.iter().find(|(host, _)| url.host_str() == Some(*host));
    Some((
        Secret::new(text),
        kind.map_or(WebhookKind::Json, |(_, kind)| *kind),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{faults, good};

    #[test]
    fn the_host_or_the_kind_says_what_a_webhook_is() {
        let text = "{\"webhooks\": [\"https://open.feishu.cn/x\", \"http://h/${SECRET}\", {\"url\": \"http://h\", \"kind\": \"slack\"}]}";
        let read = good(text, AlertSettings::read);
        let kinds: Vec<_> = read.webhooks.iter().map(|webhook| webhook.kind).collect();
        assert_eq!(
            kinds,
            [WebhookKind::Feishu, WebhookKind::Json, WebhookKind::Slack]
        );
        assert_eq!(read.webhooks[1].url.expose(), "http://h/hunter2");
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn each_bad_webhook_is_told_without_its_address() {
        let found = faults(
            "{\"webhooks\": [\"ftp://h/hunter2\", 1, {\"kind\": \"sms\"}]}",
            AlertSettings::read,
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}
