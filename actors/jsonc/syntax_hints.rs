//! The fault of a text that is not JSON: what stands there, and what would be right.

use jsonc_parser::{ParseStringErrorKind, errors::ParseErrorKind};

/// What looks like JSON's own characters, as input methods and word processors write it.
const LOOK_ALIKES: [(char, &str); 16] = [
    ('，', ","),
    ('、', ","),
    ('：', ":"),
    ('“', "\""),
    ('”', "\""),
    ('„', "\""),
    ('＂', "\""),
    ('‘', "\""),
    ('’', "\""),
    ('｛', "{"),
    ('｝', "}"),
    ('［', "["),
    ('］', "]"),
    ('【', "["),
    ('】', "]"),
    ('／', "/"),
];

/// Words of other formats for JSON's three.
const WORDS: [(&str, &[&str]); 3] = [
    ("true", &["true", "yes", "on"]),
    ("false", &["false", "no", "off"]),
    ("null", &["null", "none", "nil", "undefined"]),
];

/// The longest piece of a text that is read as one word or number.
const LONGEST_WORD: usize = 40;

/// The byte and the message of a fault that the parser found at a byte.
pub(crate) fn explain(text: &str, offset: usize, kind: &ParseErrorKind) -> (usize, String) {
    use ParseErrorKind::*;
    let hint = match kind {
        ExpectedComma | UnexpectedWord | UnexpectedToken => {
            // The value before ends here, and something stands right behind it.
            if let Some(found) = no_number(text, offset) {
                return found;
            }
            let is_value = !matches!(kind, ExpectedComma);
            is_value
                .then(|| odd_char(text, offset).or_else(|| word(text, offset)))
                .flatten()
        }
        MultipleRootJsonValues => too_many(text, offset),
        UnexpectedTokenInObject | ExpectedStringObjectProperty | ExpectedColonAfterObjectKey => {
            odd_char(text, offset)
        }
        _ => None,
    };
    (offset, hint.unwrap_or_else(|| wanted(kind)))
}

/// What the parser wanted.
fn wanted(kind: &ParseErrorKind) -> String {
    use ParseErrorKind::*;
    let message = match kind {
        ExpectedComma => "a comma is missing here",
        UnexpectedComma => "a comma too many, or a value is missing before it",
        UnexpectedColon => "a `:` too many, or its key is missing",
        UnexpectedCloseBrace => "a `}` too many, or a value is missing before it",
        UnexpectedCloseBracket => "a `]` too many, or a value is missing before it",
        ExpectedColonAfterObjectKey => "a `:` is missing after this key",
        ExpectedObjectValue => "a value is missing after the `:`",
        ExpectedStringObjectProperty | UnexpectedTokenInObject => {
            "a key in double quotes, or the object's `}`, would be right here"
        }
        UnexpectedWord | UnexpectedToken => {
            "no value is written like this; strings stand in double quotes"
        }
        SingleQuotedStringsNotAllowed => "strings stand in double quotes",
        UnterminatedObject => "the `{` opened here is never closed; is the file cut off?",
        UnterminatedArray => "the `[` opened here is never closed; is the file cut off?",
        UnterminatedCommentBlock => "the comment opened here is never closed with `*/`",
        MultipleRootJsonValues => "the file holds one value, which ends before this",
        NestingDepthExceeded => "nested too deep; no configuration is",
        HexadecimalNumbersNotAllowed => "a number is written in decimal digits",
        UnaryPlusNumbersNotAllowed => "a number has no `+` before it",
        BareDecimalPointNumbersNotAllowed => "a number has digits on both sides of its point",
        ExpectedDigit | ExpectedDigitFollowingNegativeSign => "a digit is missing in this number",
        ExpectedPlusMinusOrDigitInNumberLiteral => "the digits after the `e` are missing",
        String(ParseStringErrorKind::UnterminatedStringLiteral) => {
            "the string opened here is never closed with `\"`; is the file cut off?"
        }
        String(ParseStringErrorKind::InvalidEscape) => {
            "no escape starts like this; a backslash itself is written `\\\\`"
        }
        String(ParseStringErrorKind::ExpectedFourHexDigits) => {
            "`\\u` takes four hexadecimal digits, such as `\\u6d4b`"
        }
        String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
            "this escape is half a character; both halves, or the character itself, would be right"
        }
        kind => return format!("not JSON: {}", lower_case(&kind.to_string())),
    };
    message.to_owned()
}

/// A single character that shows what was meant.
fn odd_char(text: &str, offset: usize) -> Option<String> {
    let found = text[offset..].chars().next()?;
    if let Some((_, right)) = LOOK_ALIKES.iter().find(|(alike, _)| *alike == found) {
        return Some(format!(
            "`{found}` only looks like `{right}`; write `{right}`"
        ));
    }
    Some(match found {
        ',' => "a comma too many".to_owned(),
        '=' => "between a key and its value stands a `:`".to_owned(),
        '#' => "comments start with `//`".to_owned(),
        '\'' | '`' => "strings stand in double quotes".to_owned(),
        found if is_invisible(found) => {
            let code = u32::from(found);
            format!("the invisible character U+{code:04X} stands here; delete it")
        }
        _ => return None,
    })
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

/// A word that JSON writes in another way.
fn word(text: &str, offset: usize) -> Option<String> {
    let found = run(&text[offset..]);
    let small = found.to_lowercase();
    let (right, _) = WORDS
        .iter()
        .find(|(_, words)| words.contains(&small.as_str()))?;
    Some(format!("`{found}` is not JSON's; did you mean `{right}`?"))
}

/// A number with something that cannot be part of it.
fn no_number(text: &str, offset: usize) -> Option<(usize, String)> {
    let before = text[..offset].rfind(|c: char| !is_of_word(c));
    let start = before.map_or(0, |at| {
        at + text[at..].chars().next().map_or(0, char::len_utf8)
    });
    let found = run(&text[start..]);
    if start == offset
        || start + found.len() <= offset
        || !found.starts_with(|c: char| c.is_ascii_digit() || c == '-')
    {
        return None;
    }
    let digits = found.trim_start_matches('-');
    let message = if digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("`{found}` starts with a zero, which no number does")
    } else {
        format!("`{found}` is no number; strings stand in double quotes")
    };
    Some((start, message))
}

/// Closing brackets behind the end.
fn too_many(text: &str, offset: usize) -> Option<String> {
    let found = text[offset..]
        .chars()
        .next()
        .filter(|c| matches!(c, ']' | '}'))?;
    Some(format!(
        "a `{found}` too many: what it closes is closed before"
    ))
}

fn run(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(at, c)| *at >= LONGEST_WORD || !is_of_word(*c));
    end.map_or(text, |(at, _)| &text[..at])
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+')
}

fn lower_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::faults;

    #[test]
    fn the_probable_meaning_is_suggested() {
        for (text, wanted) in [
            ("[1，2]", "f:1:3: `，` only looks like `,`; write `,`"),
            ("{“a”: 1}", "f:1:2: `“` only looks like `\"`; write `\"`"),
            (
                "{\"a\" = 1}",
                "f:1:6: between a key and its value stands a `:`",
            ),
            ("{\"a\": 1,, \"b\": 2}", "f:1:9: a comma too many"),
            ("# x\n[]", "f:1:1: comments start with `//`"),
            (
                "[\u{200b}1]",
                "f:1:2: the invisible character U+200B stands here; delete it",
            ),
            (
                "[True]",
                "f:1:2: `True` is not JSON's; did you mean `true`?",
            ),
            (
                "[None]",
                "f:1:2: `None` is not JSON's; did you mean `null`?",
            ),
            (
                "[测 007]",
                "f:1:2: no value is written like this; strings stand in double quotes",
            ),
            (
                "[1, 007]",
                "f:1:5: `007` starts with a zero, which no number does",
            ),
            (
                "[25s]",
                "f:1:2: `25s` is no number; strings stand in double quotes",
            ),
            (
                "[1测]",
                "f:1:2: `1测` is no number; strings stand in double quotes",
            ),
            ("[1 2]", "f:1:3: a comma is missing here"),
            (
                "[\"1\"x]",
                "f:1:5: no value is written like this; strings stand in double quotes",
            ),
            (
                "[1]]",
                "f:1:4: a `]` too many: what it closes is closed before",
            ),
            (
                "{\"a\":\n}",
                "f:2:1: a `}` too many, or a value is missing before it",
            ),
            (
                "[\"a\\d\"]",
                "f:1:4: no escape starts like this; a backslash itself is written `\\\\`",
            ),
            (
                "[\"a",
                "f:1:2: the string opened here is never closed with `\"`; is the file cut off?",
            ),
        ] {
            assert_eq!(faults(text, |_| ()), [wanted], "{text}");
        }
    }
}
