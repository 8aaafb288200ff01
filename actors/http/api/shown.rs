//! Bytes as JSON shows them, and takes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Text as it is; what is no text as `{"base64": …}`, so that nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "neither a text nor `{\"base64\": \"…\"}`"
)]
pub(in crate::http) enum Shown {
    Text(String),
    Bytes { base64: String },
}

impl Shown {
    pub(in crate::http) fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    /// Of a text that may be cut in the middle of its last character: without that.
    pub(super) fn beginning(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Err(cut) if cut.error_len().is_none() && cut.valid_up_to() > 0 => {
                Self::of(&bytes[..cut.valid_up_to()])
            }
            _ => Self::of(bytes),
        }
    }

    pub(super) fn bytes(self) -> Result<Bytes, String> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Bytes { base64 } => STANDARD
                .decode(base64)
                .map(Bytes::from)
                .map_err(|fault| format!("`base64`: {fault}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        let shown = |bytes: &[u8]| serde_json::to_string(&Shown::of(bytes)).unwrap();
        assert_eq!(shown("测试".as_bytes()), r#""测试""#);
        assert_eq!(shown(b""), r#""""#);
        assert_eq!(shown(b"\xff\0"), r#"{"base64":"/wA="}"#);
    }

    #[test]
    fn bytes_come_back_as_they_went() {
        for bytes in [&b"text"[..], "测试".as_bytes(), b"\xff\0", b""] {
            let json = serde_json::to_string(&Shown::of(bytes)).unwrap();
            let shown: Shown = serde_json::from_str(&json).unwrap();
            assert_eq!(shown.bytes().unwrap(), bytes, "{json}");
        }
        let wrong = Shown::Bytes {
            base64: "%".to_owned(),
        };
        assert!(wrong.bytes().unwrap_err().contains("base64"));
        for wrong in ["7", "{}", r#"{"base64": "", "more": 1}"#] {
            let refused = serde_json::from_str::<Shown>(wrong)
                .unwrap_err()
                .to_string();
            assert!(refused.contains("neither a text nor"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_text_that_is_cut_is_a_text() {
        let bytes = "测试".as_bytes();
        assert_eq!(Shown::beginning(&bytes[..5]), Shown::Text("测".to_owned()));
        assert_eq!(
            Shown::beginning(&bytes[..6]),
            Shown::Text("测试".to_owned())
        );
        assert!(matches!(Shown::beginning(b"\xff\xfe"), Shown::Bytes { .. }));
    }
}
