//! Message headers in one text column: a JSON array of `[name, base64 of the value]`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// `None` where there are none: the column stays NULL.
pub(crate) fn encode(headers: &[(String, Bytes)]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let pairs: Vec<(&str, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), STANDARD.encode(value)))
        .collect();
    serde_json::to_string(&pairs).ok()
}

/// What `encode` wrote. Text that it cannot have written gives no headers: a foreign insert must not stop a queue.
pub(in crate::store) fn decode(text: Option<&str>) -> Vec<(String, Bytes)> {
    let pairs: Vec<(String, String)> = text
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, STANDARD.decode(value).ok()?.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_exactly() {
        let headers = vec![
            ("trace".to_owned(), Bytes::from_static(b"a\0\xff")),
            ("trace".to_owned(), Bytes::new()),
        ];
        assert_eq!(decode(encode(&headers).as_deref()), headers);
        assert_eq!(encode(&[]), None);
        assert_eq!(decode(Some("not ours")), Vec::new());
    }
}
