//! The key `alert.webhooks`: the receivers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::{auth::WebhookAuth, environments};
use crate::config::Environment;
use crate::config::secret::Secret;
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;

/// The kinds by name.
const KINDS: [(&str, WebhookKind); 7] = [
    ("feishu", WebhookKind::Feishu),
    ("lark", WebhookKind::Feishu),
    ("wecom", WebhookKind::WeCom),
    ("dingtalk", WebhookKind::DingTalk),
    ("slack", WebhookKind::Slack),
    ("json", WebhookKind::Json),
    ("alertmanager", WebhookKind::Alertmanager),
];

/// The hosts that say which kind a webhook is.
const HOSTS: [(&str, WebhookKind); 5] = [
    ("open.feishu.cn", WebhookKind::Feishu),
    ("open.larksuite.com", WebhookKind::Feishu),
    ("qyapi.weixin.qq.com", WebhookKind::WeCom),
    ("oapi.dingtalk.com", WebhookKind::DingTalk),
    ("hooks.slack.com", WebhookKind::Slack),
];

/// How the secret of a plain JSON receiver begins, by Standard Webhooks.
pub(crate) const JSON_SECRET_PREFIX: &str = "whsec_";
/// How long the key in it may be, by Standard Webhooks.
const JSON_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// One receiver of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its address, whose path or query is its password.
    pub url: Secret,
    /// The form of the message.
    pub kind: WebhookKind,
    /// What messages are signed with.
    pub secret: Option<Secret>,
    /// What shows that this daemon may send.
    pub auth: Option<WebhookAuth>,
    /// Where alerts are sent to it; elsewhere they are logged.
    pub environments: Vec<Environment>,
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
    /// Plain JSON, signed as Standard Webhooks has it.
    Json,
    /// The Alertmanager of Prometheus.
    Alertmanager,
}

impl WebhookKind {
    /// The name, as in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::WeCom => "wecom",
            Self::DingTalk => "dingtalk",
            Self::Slack => "slack",
            Self::Json => "json",
            Self::Alertmanager => "alertmanager",
        }
    }
}

impl Webhook {
    /// Whether alerts are sent to it there.
    pub(crate) fn is_for(&self, environment: Environment) -> bool {
        self.environments.contains(&environment)
    }
}

/// All receivers, of which no two may be one.
pub(super) fn read_all(node: &Node<'_>) -> Option<Vec<Webhook>> {
    let nodes = node.array()?;
    let all: Vec<_> = nodes.iter().map(webhook).collect();
    let mut is_right = true;
    for (index, webhook) in all.iter().enumerate() {
        let same = |other: &Option<Webhook>| match (other, webhook) {
            (Some(other), Some(webhook)) => other.url == webhook.url,
            _ => false,
        };
        if let Some(first) = all[..index].iter().position(same) {
            nodes[index].fault(format!(
                "the same receiver as `alert.webhooks[{first}]`, which would get each alert twice; one of them would be right"
            ));
            is_right = false;
        }
    }
    let all: Option<Vec<_>> = all.into_iter().collect();
    all.filter(|_| is_right)
}

/// An address, whose host decides the kind, or an object.
fn webhook(node: &Node<'_>) -> Option<Webhook> {
    if !node.is_object() {
        let (url, kind) = address(node)?;
        return Some(Webhook {
            url,
            kind,
            secret: None,
            auth: None,
            environments: by_default(),
        });
    }
    node.object(|o| {
        let url = o.required("url", "the webhook's address, `https://…`", address);
        let kind = o.maybe("kind", |node| node.one_of(&KINDS));
        let secret = o.maybe("secret", |node| node.secret_string().map(Secret::new));
        let auth = WebhookAuth::read(o);
        let environments = o.optional("environments", by_default(), environments::read);
        let ((url, by_host), kind) = (url?, kind?);
        let kind = kind.unwrap_or(by_host);
        let secret = secret.and_then(|secret| match secret {
            Some(secret) => checked_secret(o, kind, secret).map(Some),
            None => Some(None),
        });
        let auth = auth.and_then(|auth| checked_auth(o, kind, &url, auth));
        Some(Webhook {
            url,
            kind,
            secret: secret?,
            auth: auth?,
            environments: environments?,
        })
    })
}

fn by_default() -> Vec<Environment> {
    vec![Environment::Release]
}

fn checked_secret(o: &Object<'_, '_>, kind: WebhookKind, secret: Secret) -> Option<Secret> {
    let place = o.place_of("secret");
    let fault = match kind {
        WebhookKind::WeCom | WebhookKind::Slack | WebhookKind::Alertmanager => Some(format!(
            "messages to `{}` are not signed, so they have no secret; leave it out",
            kind.name()
        )),
        WebhookKind::Feishu | WebhookKind::DingTalk if secret.expose().trim().is_empty() => Some(
            "an empty secret signs nothing; the one that the robot's security settings show would be right"
                .to_owned(),
        ),
        // As a file or a variable that ends with a line break has it.
        WebhookKind::Feishu | WebhookKind::DingTalk
            if secret.expose().trim() != secret.expose() =>
        {
            Some(
                "a blank or a line break begins or ends this secret, and no signature with it would be right; leave it out"
                    .to_owned(),
            )
        }
        WebhookKind::Json if json_key(secret.expose()).is_none() => Some(format!(
            "this is no secret of Standard Webhooks; `{JSON_SECRET_PREFIX}` and 24 to 64 random bytes in Base64 would be \
             right, such as `echo {JSON_SECRET_PREFIX}$(openssl rand -base64 32)` makes"
        )),
        WebhookKind::Feishu | WebhookKind::DingTalk | WebhookKind::Json => None,
    };
    match fault {
        Some(fault) => {
            place.fault(fault);
            None
        }
        None => Some(secret),
    }
}

/// The key in the secret of a plain JSON receiver.
pub(crate) fn json_key(secret: &str) -> Option<Vec<u8>> {
    let text = secret.strip_prefix(JSON_SECRET_PREFIX)?;
    let key = STANDARD.decode(text).ok()?;
    JSON_KEY_BYTES.contains(&key.len()).then_some(key)
}

fn checked_auth(
    o: &Object<'_, '_>,
    kind: WebhookKind,
    url: &Secret,
    auth: Option<WebhookAuth>,
) -> Option<Option<WebhookAuth>> {
    // The client sends it as `basic` is sent.
    let has_user = Url::parse(url.expose()).is_ok_and(|url| !url.username().is_empty());
    let takes = matches!(kind, WebhookKind::Alertmanager | WebhookKind::Json);
    let key = match &auth {
        Some(WebhookAuth::Basic { .. }) => "basic",
        Some(WebhookAuth::Bearer(_)) => "bearer",
        None => return Some(None),
    };
    if takes && has_user {
        o.place_of(key).fault(format!(
            "the address has a user before its `@` already, and `{key}` is another one; one of them would be right"
        ));
        return None;
    }
    if takes {
        return Some(auth);
    }
    o.place_of(key).fault(format!(
        "`{}` asks for no password beside its address; leave it out",
        kind.name()
    ));
    None
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
    let kind = kind.map_or(WebhookKind::Json, |(_, kind)| *kind);
    let key = match kind {
        WebhookKind::WeCom => Some("key"),
        WebhookKind::DingTalk => Some("access_token"),
        _ => None,
    };
    if let Some(key) = key {
        let mut pairs = url.query_pairs();
        if !pairs.any(|(name, value)| name == key && !value.is_empty()) {
            node.fault(format!(
                "this address has no `{key}=…`, by which `{}` knows the robot; copy all of it from the robot's settings",
                kind.name()
            ));
            return None;
        }
    }
    Some((Secret::new(text), kind))
}
