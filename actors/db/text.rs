//! Text that must fit a column.

/// Characters of `result` in both tables of the Go project.
pub(crate) const RESULT_CHARS: usize = 500;
/// Characters of `dead_letter.error`.
pub(crate) const ERROR_CHARS: usize = 1000;
/// What stands at the end of a shortened text.
const MARK: &str = "…";

/// The text itself, or so many characters of it with a mark at the end. NUL, which PostgreSQL cannot store, becomes
/// U+FFFD on every database alike.
pub(crate) fn shorten(text: &str, max_chars: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    match text.char_indices().nth(max_chars) {
        None => text,
        Some(_) => {
            let kept: String = text.chars().take(max_chars - 1).collect();
            kept + MARK
        }
    }
}

/// The text, with U+FFFD where the bytes are none.
pub(crate) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
    }
}
