//! Signatures, checked by implementations that are not ours.

use std::process::Command;

use http::HeaderMap;
use url::Url;

use super::*;
use crate::alert::sign;

/// By Python's own libraries, or none where there is no Python; CI has one.
fn python(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new("python3")
        .arg("-c")
        .arg(program)
        .args(args)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        }
        Err(cause) => {
            assert!(std::env::var_os("CI").is_none(), "{cause}");
            eprintln!("LEFT OUT: there is no python3");
            None
        }
    }
}

const SECRETS: [&str; 3] = ["SEC0123", "密钥 with blanks", "a/b+c=="];

#[test]
fn feishu_signatures_are_what_python_works_out() {
    let program = "import sys, hmac, hashlib, base64
timestamp, secret = sys.argv[1:]
key = (timestamp + '\\n' + secret).encode()
print(base64.b64encode(hmac.new(key, b'', digestmod=hashlib.sha256).digest()).decode())";
    for secret in SECRETS {
        let Some(expected) = python(program, &["1700000000", secret]) else {
            return;
        };
        assert_eq!(sign::feishu(secret, 1_700_000_000), expected);
        let receiver = receiver(WebhookKind::Feishu, Some(secret));
        let notice = notice(0);
        let at = Utc.timestamp_opt(1_700_000_000, 0).unwrap();
        let request = receiver.request(&receiver.message(&[Arc::new(notice)], 0, at), at);
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["sign"], expected);
        assert_eq!(body["timestamp"], "1700000000");
    }
}

#[test]
fn dingtalk_signatures_are_what_python_works_out() {
    let program = "import sys, hmac, hashlib, base64, urllib.parse
timestamp, secret = sys.argv[1:]
digest = hmac.new(secret.encode(), (timestamp + '\\n' + secret).encode(), digestmod=hashlib.sha256).digest()
print(urllib.parse.quote_plus(base64.b64encode(digest)))";
    for secret in SECRETS {
        let Some(expected) = python(program, &["1700000000123", secret]) else {
            return;
        };
        let receiver = receiver(WebhookKind::DingTalk, Some(secret));
        let notice = notice(0);
        let at = Utc.timestamp_millis_opt(1_700_000_000_123).unwrap();
        let request = receiver.request(&receiver.message(&[Arc::new(notice)], 0, at), at);
        let url = Url::parse(&request.url).unwrap();
        let query = url.query().unwrap();
        assert!(
            query.starts_with("key=k3y&timestamp=1700000000123&sign="),
            "{query}"
        );
        assert!(
            query.ends_with(&format!("sign={expected}")),
            "{query} {expected}"
        );
    }
}

#[test]
fn json_signatures_are_taken_by_standard_webhooks() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = receiver(WebhookKind::Json, Some(secret));
    let notice = notice_of(NoticeKind::Count, "名字 \"x\"");
    let now = Utc::now();
    let mut request = receiver.request(&receiver.message(&[Arc::new(notice)], 0, now), now);
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(*name, value.parse().unwrap());
    }
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(&request.body, &headers).unwrap();
    request.body[5] ^= 1;
    assert!(
        webhook.verify(&request.body, &headers).is_err(),
        "any other body"
    );
}
