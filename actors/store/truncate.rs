//! Text that must fit a column, and its character set.
//!
//! **An end can always be written.** It is shortened to the width that the column really has. What the database refuses
//! all the same, as one character may not exist in the column's character set, is written in ASCII, and then not at
//! all: the row that shows how something ended is worth more than the words.

use std::fmt;

/// Characters of `result` in both tables of the Go project, as that makes them.
pub(crate) const RESULT_CHARS: usize = 500;
/// Characters of `dead_letter.error`.
pub(crate) const ERROR_CHARS: usize = 1000;
/// Characters of `audit.target` and of `audit.result`.
const AUDITED_CHARS: usize = 500;
/// Characters of the names of entries and of what they belong to.
pub(crate) const NAME_CHARS: usize = 255;

/// How a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plain {
    #[default]
    AsItIs,
    /// What is not ASCII as JSON has it: `\u6d4b`.
    Ascii,
    /// Not at all.
    Empty,
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsItIs => "as it is",
            Self::Ascii => "in ASCII",
            Self::Empty => "left out",
        })
    }
}

impl Plain {
    /// The next plainer one.
    pub(crate) fn plainer(self) -> Option<Self> {
        match self {
            Self::AsItIs => Some(Self::Ascii),
            Self::Ascii => Some(Self::Empty),
            Self::Empty => None,
        }
    }

    /// What stands at the end of a shortened text.
    fn mark(self) -> &'static str {
        match self {
            Self::AsItIs => "…",
            Self::Ascii | Self::Empty => "...",
        }
    }

    /// The character as it is written. NUL, which PostgreSQL cannot store, becomes U+FFFD on every database alike.
    fn push(self, c: char, text: &mut String) {
        match (self, c) {
            (_, '\0') => self.push('\u{fffd}', text),
            (Self::Ascii, c) if !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => text.push(c),
        }
    }
}

/// The text itself, or its beginning with a mark at the end: `max_chars` at most.
pub(crate) fn shorten(text: &str, max_chars: usize) -> String {
    note(text, max_chars, Plain::AsItIs)
}

/// As `shorten`, for a text that a person reads.
pub(crate) fn note(text: &str, max_chars: usize, plain: Plain) -> String {
    match plain {
        Plain::Empty => String::new(),
        _ => cut(text, max_chars, plain.mark(), |c, text| plain.push(c, text)),
    }
}

/// What an order is about, or what came of it, as long as a row of `audit` has it.
pub(crate) fn audited(text: &str, plain: Plain) -> String {
    note(text, AUDITED_CHARS, plain)
}

/// As `note`, for a `result`: it stays JSON, with its `status`, and its `data` is shortened.
pub(crate) fn result(text: &str, max_chars: usize, plain: Plain) -> String {
    let shown = note(text, usize::MAX, plain);
    if shown.len() <= max_chars || shown.chars().count() <= max_chars {
        return shown;
    }
    let cut = shorter_result(text, max_chars, plain);
    cut.unwrap_or_else(|| note(text, max_chars, plain))
}

/// As `result`, where the column has no width of its own.
pub(crate) fn fitted(text: &str) -> String {
    result(text, RESULT_CHARS, Plain::AsItIs)
}

/// None: it is no result as handlers have it, or not even its status fits.
fn shorter_result(text: &str, max_chars: usize, plain: Plain) -> Option<String> {
    let result: serde_json::Value = serde_json::from_str(text).ok()?;
    let (status, data) = (result.get("status")?, result.get("data")?);
    let status = note(&status.to_string(), usize::MAX, plain);
    let (head, tail) = (format!("{{\"status\":{status},\"data\":\""), "\"}");
    let around = head.chars().count() + tail.len() + plain.mark().chars().count();
    if around <= max_chars {
        let data = match data {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let room = max_chars - head.chars().count() - tail.len();
        let data = cut(&data, room, plain.mark(), |c, text| {
            let quoted = serde_json::Value::from(c.to_string()).to_string();
            let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            inner.chars().for_each(|c| plain.push(c, text));
        });
        return Some(format!("{head}{data}{tail}"));
    }
    let bare = format!("{{\"status\":{status}}}");
    (bare.chars().count() <= max_chars).then_some(bare)
}

/// As many of the characters, as `push` writes them, as fit whole; with the mark where some are left out.
fn cut(text: &str, max_chars: usize, mark: &str, push: impl Fn(char, &mut String)) -> String {
    let with_mark = max_chars.saturating_sub(mark.chars().count());
    let (mut kept, mut chars) = (String::with_capacity(text.len().min(max_chars)), 0);
    // Where the text is cut if it turns out to be too long.
    let mut cut_at = 0;
    for c in text.chars() {
        let before = kept.len();
        push(c, &mut kept);
        chars += kept.get(before..).unwrap_or_default().chars().count();
        if chars <= with_mark {
            cut_at = kept.len();
        }
        if chars > max_chars {
            kept.truncate(cut_at);
            return kept + mark;
        }
    }
    kept
}

/// The text, with U+FFFD where the bytes are none.
pub(crate) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A handler's result as the column has it: `status` first, which then stands before what is cut off.
pub(crate) fn result_text(
    status: impl Into<serde_json::Value>,
    data: &serde_json::Value,
) -> String {
    let status: serde_json::Value = status.into();
    format!("{{\"status\":{status},\"data\":{data}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shorten("测试", 2), "测试");
        assert_eq!(shorten("测试文", 2), "测…");
        assert_eq!(shorten(&"😀".repeat(501), 500).chars().count(), 500);
        assert_eq!(shorten("a\0b", 9), "a\u{fffd}b");
        assert_eq!(note("é1234", 9, Plain::Ascii), "\\u00e9...");
        assert_eq!(note("😀", 12, Plain::Ascii), "\\ud83d\\ude00");
        assert_eq!(
            note("😀", 11, Plain::Ascii),
            "...",
            "no half of a character"
        );
        assert_eq!(note("a", 9, Plain::Empty), "");
    }

    #[test]
    fn a_short_result_stays_as_it_is() {
        let text = result_text(true, &"测试".into());
        assert_eq!(text, r#"{"status":true,"data":"测试"}"#);
        assert_eq!(result(&text, 500, Plain::AsItIs), text);
        let ascii = result(&text, 500, Plain::Ascii);
        assert_eq!(ascii, r#"{"status":true,"data":"\u6d4b\u8bd5"}"#);
        assert_eq!(result(&text, 500, Plain::Empty), "");
    }

    /// Whatever the width, what is written fits, and is JSON with its status as long as that fits.
    #[test]
    fn a_long_result_stays_json_with_its_status() {
        let data = serde_json::json!({"quote": "\"\\\n", "emoji": "😀".repeat(90), "n": [1, 2, 3]});
        for (status, data) in [(true, data.clone()), (false, "x\"😀".repeat(99).into())] {
            let text = result_text(status, &data);
            for plain in [Plain::AsItIs, Plain::Ascii] {
                for width in 0..400 {
                    let cut = result(&text, width, plain);
                    assert!(cut.chars().count() <= width.max(3), "{width}: {cut}");
                    assert!(plain == Plain::AsItIs || cut.is_ascii(), "{cut}");
                    if width >= 16 {
                        let read: serde_json::Value = serde_json::from_str(&cut).unwrap();
                        assert_eq!(read["status"], status, "{width}: {cut}");
                    }
                }
            }
        }
    }
}
