//! One receiver: the form of a message to it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::client::Request;
use super::discretion::Discretion;
use super::sign;
use super::text::{self, Room, json_cost, plain_cost};
use super::{Notice, NoticeKind, Origin};
use crate::config::{Webhook, WebhookAuth, WebhookKind, json_key};

/// Feishu takes 20 KB with all that is around the text.
const FEISHU_ROOM: Room = Room {
    bytes: 18 * 1024,
    cost: feishu_cost,
};
/// WeCom counts the text alone.
const WECOM_ROOM: Room = Room {
    bytes: 2_048,
    cost: plain_cost,
};
/// DingTalk takes 20,000 bytes with all that is around the text.
const DINGTALK_ROOM: Room = Room {
    bytes: 18_000,
    cost: json_cost,
};
/// Slack cuts after 40,000 characters, and folds much less.
const SLACK_ROOM: Room = Room {
    bytes: 12_000,
    cost: slack_cost,
};
/// Alerts in one message of plain JSON.
const MOST_IN_JSON: usize = 100;
/// And bytes of them, as programs limit what they read; a single alert goes alone, however long it is.
const MOST_JSON_BYTES: usize = 256 * 1024;
/// The version of our own form, which docs/en/alerts.md describes.
const JSON_VERSION: u32 = 1;

/// A receiver as the settings have it. Addresses and secrets are in here: it has no `Debug`.
pub(super) struct Receiver {
    /// For the log: where in the settings it is, and its kind.
    pub(super) label: String,
    pub(super) kind: WebhookKind,
    pub(super) discretion: Discretion,
    pub(super) origin: Origin,
    url: String,
    secret: Option<String>,
    auth: Option<String>,
}

/// One message: the same at each try.
pub(super) struct Message {
    content: Content,
    /// Known to the receiver of plain JSON, which drops a second one.
    id: String,
    /// How many alerts are in it.
    pub(super) alerts: usize,
}

enum Content {
    Text(String),
    Json(String),
}

impl Receiver {
    pub(super) fn new(index: usize, webhook: &Webhook, origin: &Origin) -> Self {
        let secret = webhook.secret.as_ref().map(|secret| secret.expose());
        let mut secrets: Vec<&str> = secret.into_iter().collect();
        let auth = match &webhook.auth {
            Some(WebhookAuth::Basic { user, password }) => {
                secrets.push(password.expose());
                let both = format!("{user}:{}", password.expose());
                Some(format!("Basic {}", STANDARD.encode(both)))
            }
            Some(WebhookAuth::Bearer(token)) => {
                secrets.push(token.expose());
                Some(format!("Bearer {}", token.expose()))
            }
            None => None,
        };
        secrets.extend(auth.as_deref());
        Self {
            label: format!("alert.webhooks[{index}] ({})", webhook.kind.name()),
            kind: webhook.kind,
            discretion: Discretion::new(webhook.url.expose(), &secrets, &origin.host),
            origin: origin.clone(),
            url: match webhook.kind {
                WebhookKind::Alertmanager => alertmanager_url(webhook.url.expose()),
                _ => webhook.url.expose().to_owned(),
            },
            secret: secret.map(str::to_owned),
            auth,
        }
    }

    /// One message of the first alerts that wait.
    pub(super) fn message(
        &self,
        notices: &[Arc<Notice>],
        left_out: usize,
        now: DateTime<Utc>,
    ) -> Message {
        let room = match self.kind {
            WebhookKind::Feishu => FEISHU_ROOM,
            WebhookKind::WeCom => WECOM_ROOM,
            WebhookKind::DingTalk => DINGTALK_ROOM,
            WebhookKind::Slack => SLACK_ROOM,
            WebhookKind::Json | WebhookKind::Alertmanager => {
                let alerts = fitting(notices);
                let json = self.json(&alerts, left_out, now);
                return Message::new(Content::Json(json), alerts.len());
            }
        };
        let (text, alerts) = text::gathered(notices, left_out, &self.origin, room);
        Message::new(Content::Text(text), alerts)
    }

    /// A message of a text that is made already.
    pub(super) fn json_message(body: &Value, alerts: usize) -> Message {
        Message::new(Content::Json(body.to_string()), alerts)
    }

    /// What is sent now; signatures hold for a short time.
    pub(super) fn request(&self, message: &Message, now: DateTime<Utc>) -> Request {
        let mut headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        headers.extend(self.auth.clone().map(|auth| ("authorization", auth)));
        let mut url = self.url.clone();
        let body = match (&message.content, self.kind) {
            (Content::Json(body), _) => body.clone(),
            (Content::Text(text), WebhookKind::Feishu) => self.feishu(text, now).to_string(),
            (Content::Text(text), WebhookKind::DingTalk) => {
                url = self.dingtalk_url(now);
                json!({"msgtype": "text", "text": {"content": text}}).to_string()
            }
            (Content::Text(text), WebhookKind::WeCom) => {
                json!({"msgtype": "text", "text": {"content": text}}).to_string()
            }
            (Content::Text(text), _) => json!({"text": for_slack(text)}).to_string(),
        };
        if self.kind == WebhookKind::Json {
            headers.extend(self.standard_headers(message, now, body.as_bytes()));
        }
        Request {
            url,
            headers,
            body: body.into_bytes(),
        }
    }

    fn feishu(&self, text: &str, now: DateTime<Utc>) -> Value {
        let mut body = json!({"msg_type": "text", "content": {"text": without_mentions(text)}});
        if let Some(secret) = &self.secret {
            let timestamp = now.timestamp();
            body["timestamp"] = json!(timestamp.to_string());
            body["sign"] = json!(sign::feishu(secret, timestamp));
        }
        body
    }

    fn dingtalk_url(&self, now: DateTime<Utc>) -> String {
        let (Some(secret), Ok(mut url)) = (&self.secret, Url::parse(&self.url)) else {
            return self.url.clone();
        };
        let timestamp = now.timestamp_millis();
        // An address that was copied from an example has another signature in it.
        let is_signed = |name: &str| ["timestamp", "sign"].contains(&name);
        if url.query_pairs().any(|(name, _)| is_signed(&name)) {
            let others: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(name, _)| !is_signed(name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            url.query_pairs_mut().clear().extend_pairs(others);
        }
        url.query_pairs_mut()
            .append_pair("timestamp", &timestamp.to_string())
            .append_pair("sign", &sign::dingtalk(secret, timestamp));
        url.into()
    }

    fn standard_headers(
        &self,
        message: &Message,
        now: DateTime<Utc>,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let timestamp = now.timestamp();
        let mut headers = vec![
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
        ];
        let key = self.secret.as_deref().and_then(json_key);
        if let Some(key) = key {
            let signature = sign::standard(&key, &message.id, timestamp, body);
            headers.push(("webhook-signature", signature));
        }
        headers
    }

    fn json(&self, alerts: &[Value], left_out: usize, now: DateTime<Utc>) -> String {
        json!({
            "version": JSON_VERSION,
            "sent_at": rfc3339(now),
            "origin": {
                "program": "simplest_script",
                "version": self.origin.version,
                "environment": self.origin.environment.name(),
                "partition": self.origin.partition,
                "host": self.origin.host,
            },
            "alerts": alerts,
            "left_out": left_out,
        })
        .to_string()
    }
}

impl Message {
    fn new(content: Content, alerts: usize) -> Self {
        Self {
            content,
            id: format!("msg_{}", Uuid::new_v4().simple()),
            alerts,
        }
    }
}

/// As many of the alerts as fit into a message of plain JSON.
fn fitting(notices: &[Arc<Notice>]) -> Vec<Value> {
    let mut left = MOST_JSON_BYTES;
    let mut alerts = Vec::new();
    for notice in notices.iter().take(MOST_IN_JSON) {
        let alert = alert(notice);
        let bytes = alert.to_string().len();
        if bytes > left && !alerts.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes);
        alerts.push(alert);
    }
    alerts
}

fn alert(notice: &Notice) -> Value {
    json!({
        "kind": notice.kind.name(),
        "rule": notice.rule,
        "subject": notice.subject,
        "severity": notice.severity.name(),
        "summary": notice.summary,
        "details": notice.details,
        "started_at": rfc3339(notice.started_at),
        "ended_at": notice.ended_at.map(rfc3339),
    })
}

pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Its own address, or that of its API.
fn alertmanager_url(url: &str) -> String {
    const API: &str = "api/v2/alerts";
    let Ok(mut parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    if !parsed.path().ends_with(API) {
        let path = format!("{}/{API}", parsed.path().trim_end_matches('/'));
        parsed.set_path(&path);
    }
    parsed.into()
}

/// A message that is sent to see whether the receiver takes one.
pub(super) fn trial(now: DateTime<Utc>) -> Notice {
    Notice {
        kind: NoticeKind::Firing,
        rule: "test".to_owned(),
        subject: String::new(),
        severity: super::Severity::Warning,
        summary: "simplest_script: this is a test of alerts, nothing is wrong".to_owned(),
        details: vec!["sent by `alert test`".to_owned()],
        started_at: now,
        ended_at: None,
    }
}

/// Slack takes `<!channel>` and links out of a text; its own escapes say that it is none.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn slack_cost(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        c => json_cost(c),
    }
}

/// Feishu takes `<at user_id="all">` out of a text: foreign text must not notify a whole group.
fn without_mentions(text: &str) -> String {
    text.replace("<at", "< at").replace("</at", "< /at")
}

/// Each `<` may get a blank behind it.
fn feishu_cost(c: char) -> usize {
    json_cost(c) + usize::from(c == '<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alertmanager_is_addressed_with_or_without_its_api_path() {
        for (url, called) in [
            ("http://am:9093", "http://am:9093/api/v2/alerts"),
            ("http://am:9093/", "http://am:9093/api/v2/alerts"),
            ("http://h/am/?a=b", "http://h/am/api/v2/alerts?a=b"),
            ("http://am/api/v2/alerts", "http://am/api/v2/alerts"),
        ] {
            assert_eq!(alertmanager_url(url), called);
        }
    }

    #[test]
    fn texts_of_others_call_nobody() {
        assert_eq!(
            for_slack("<!channel> & <@U1>"),
            "&lt;!channel&gt; &amp; &lt;@U1&gt;"
        );
        let text = without_mentions("<at user_id=\"all\">all</at>");
        assert!(!text.contains("<at") && !text.contains("</at"), "{text}");
    }
}
