//! Text of others inside our messages: short, and on one line.
//!
//! A report is one line a fault, and is read in terminals: what stands in a file may neither break
//! the line nor move the cursor, and a pasted novel is not repeated.

use std::fmt::Write;

/// How many characters of a foreign text are shown.
const SHOWN_CHARS: usize = 60;

/// Escapes what cannot be printed and cuts what is long.
pub(crate) fn short(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS {
            out.push('…');
            break;
        }
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Escapes line breaks and other control characters.
pub(crate) fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = text.chars().map(|c| match c {
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    });
    escaped.collect()
}

/// A name in backticks.
pub(crate) fn name(text: &str) -> String {
    if text.is_empty() {
        return "an empty string".to_owned();
    }
    format!("`{}`", short(text))
}

/// Names in backticks with commas between them.
pub(crate) fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for text in all {
        let comma = if out.is_empty() { "" } else { ", " };
        // Writing into a String cannot fail.
        let _ = write!(out, "{comma}{}", name(text));
    }
    out
}

/// `1 fault`, `2 faults`.
pub(crate) fn faults(count: usize) -> String {
    format!("{count} fault{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(short("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(short("测试 \"x\""), "测试 \"x\"");
        assert_eq!(one_line("测\nb".to_owned()), "测\\nb");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let shown = short(&"测".repeat(1_000));
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn names_are_listed() {
        assert_eq!(names(["a", "b"]), "`a`, `b`");
    }
}
