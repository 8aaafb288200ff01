//! Signatures: HMAC-SHA256 in Base64, over what each receiver has signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Feishu: the key is the timestamp and the secret, and nothing is signed with it.
pub(super) fn feishu(secret: &str, timestamp_s: i64) -> String {
    let key = format!("{timestamp_s}\n{secret}");
    hmac(key.as_bytes(), &[])
}

/// DingTalk: the secret signs the timestamp and itself.
pub(super) fn dingtalk(secret: &str, timestamp_ms: i64) -> String {
    let signed = format!("{timestamp_ms}\n{secret}");
    hmac(secret.as_bytes(), &[signed.as_bytes()])
}

/// Standard Webhooks: the header `webhook-signature`.
pub(super) fn standard(key: &[u8], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let head = format!("{id}.{timestamp_s}.");
    format!("v1,{}", hmac(key, &[head.as_bytes(), body]))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> String {
    // A key of any length is one: longer ones are hashed first.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    for part in parts {
        mac.update(part);
    }
    STANDARD.encode(mac.finalize().into_bytes())
}
