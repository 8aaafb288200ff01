//! The receivers as files name them.

use super::*;
use crate::config::{Environment, Secret};
use crate::jsonc::testing::{faults, good};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_host_or_the_kind_says_what_a_webhook_is() {
    let text = "{\"webhooks\": [\"https://open.feishu.cn/x\", \"http://h/${SECRET}\", {\"url\": \"http://h\", \"kind\": \"slack\"},
        {\"url\": \"http://am\", \"kind\": \"alertmanager\"}, {\"url\": \"http://lark\", \"kind\": \"lark\"}]}";
    let read = good(text, AlertSettings::read);
    let kinds: Vec<_> = read.webhooks.iter().map(|webhook| webhook.kind).collect();
    use WebhookKind::{Alertmanager, Feishu, Json, Slack};
    assert_eq!(kinds, [Feishu, Json, Slack, Alertmanager, Feishu]);
    assert_eq!(read.webhooks[1].url.expose(), "http://h/hunter2");
    assert!(!format!("{read:?}").contains("hunter2"));
}

#[test]
fn alerts_are_sent_in_release_unless_environments_say_otherwise() {
    let text = "{\"webhooks\": [\"http://a\", {\"url\": \"http://b\", \"environments\": [\"dev\", \"pre\"]}]}";
    let read = good(text, AlertSettings::read);
    let where_sent = |index: usize| {
        let all = Environment::ALL.into_iter();
        all.filter(|e| read.webhooks[index].is_for(*e))
            .map(Environment::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(where_sent(0), ["release"]);
    assert_eq!(where_sent(1), ["dev", "pre"]);
}

#[test]
fn a_receiver_has_its_secret_and_its_password() {
    let text = format!(
        "{{\"webhooks\": [{{\"url\": \"http://a\", \"secret\": \"{WHSEC}\"}},
            {{\"url\": \"http://b\", \"kind\": \"alertmanager\", \"basic\": {{\"user\": \"u\", \"password\": \"${{SECRET}}\"}}}},
            {{\"url\": \"http://c\", \"kind\": \"alertmanager\", \"bearer\": \"${{SECRET}}\"}},
            {{\"url\": \"http://d\", \"kind\": \"dingtalk\", \"secret\": \"${{SECRET}}\"}}],
          \"ping\": {{\"url\": \"https://h/${{SECRET}}\", \"environments\": [\"test\"]}}}}"
    );
    let read = good(&text, AlertSettings::read);
    assert_eq!(read.webhooks[0].secret, Some(Secret::new(WHSEC)));
    assert_eq!(
        read.webhooks[2].auth,
        Some(WebhookAuth::Bearer(Secret::new("hunter2")))
    );
    assert!(!read.ping.as_ref().unwrap().is_for(Environment::Release));
    let shown = format!("{read:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("MfKQ"),
        "{shown}"
    );
}

#[test]
fn each_bad_webhook_is_reported_without_its_address() {
    let found = faults(
        "{\"webhooks\": [\"ftp://h/hunter2\", 1, {\"kind\": \"sms\"}]}",
        AlertSettings::read,
    );
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}
