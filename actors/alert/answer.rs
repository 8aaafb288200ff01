//! What a receiver answered.

use std::time::Duration;

/// An answer, whole. Its text may hold what may not be logged.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Seconds of the header `Retry-After`.
    pub(super) retry_after: Option<u64>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Of a server that sends elsewhere, which nobody follows.
    pub(super) fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// How long it asks to wait.
    pub(super) fn named_wait(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_secs)
    }

    /// A number and a text of the JSON that it is. A number in quotes is one of an error; success never has quotes.
    pub(super) fn code(&self, code: &str, text: &str) -> Option<(i64, String)> {
        let json: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let code = match json.get(code)? {
            serde_json::Value::String(digits) => digits.parse().ok().filter(|code| *code != 0)?,
            number => number.as_i64()?,
        };
        let text = json.get(text).and_then(|text| text.as_str());
        Some((code, text.unwrap_or_default().to_owned()))
    }
}
