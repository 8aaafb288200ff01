//! Bytes of others, for people: as text, as JSON, as hexadecimal digits. Whatever they are, what is shown is text, and bounded.

use std::fmt::Write;

use super::format::bytes;

/// Bytes of a payload that a page shows.
pub(super) const SHOWN_BYTES: u32 = 16 << 10;
/// Of those, as hexadecimal digits: each takes four characters.
const HEX_BYTES: usize = 4 << 10;
/// Bytes of a line of those.
const HEX_LINE: usize = 16;
/// Characters of a value in a line of a list.
const LINE_CHARS: usize = 120;
/// Characters of a text in a block of its own: an error, a result. Columns are shorter, where nobody has altered them.
const BLOCK_CHARS: usize = 4000;
/// JSON that is nested deeper is shown as text: each level is indented.
const DEEPEST: usize = 64;

/// How a payload is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Hex,
}

impl Form {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Hex => "hex",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let each = [Self::Text, Self::Json, Self::Hex];
        each.into_iter().find(|form| form.name() == name)
    }
}

/// A payload, or its beginning.
pub(super) struct Payload {
    pub(super) form: Form,
    pub(super) text: String,
    /// The forms that it has.
    pub(super) forms: Vec<Form>,
    /// How many bytes are shown of how many.
    pub(super) shown: u64,
    pub(super) all: u64,
}

impl Payload {
    /// `bytes` is the beginning of `all`. The form is the one that is asked for, if it has that; else the most readable.
    pub(super) fn new(bytes: &[u8], all: u64, asked: Option<&str>) -> Self {
        let is_whole = bytes.len() as u64 == all;
        let text = beginning(bytes);
        let json = text.filter(|_| is_whole).and_then(indented);
        let mut forms = vec![Form::Hex];
        if json.is_some() {
            forms.insert(0, Form::Json);
        }
        if text.is_some() {
            forms.insert(0, Form::Text);
        }
        let asked = asked.and_then(Form::of_name);
        let form = asked.filter(|form| forms.contains(form));
        let form = form.unwrap_or(match (&json, text) {
            (Some(_), _) => Form::Json,
            (None, Some(_)) => Form::Text,
            (None, None) => Form::Hex,
        });
        let shown = match form {
            Form::Hex => bytes.len().min(HEX_BYTES),
            Form::Text => text.map_or(0, str::len),
            Form::Json => bytes.len(),
        };
        Self {
            form,
            text: match form {
                Form::Text => text.unwrap_or_default().to_owned(),
                Form::Json => json.unwrap_or_default(),
                Form::Hex => hex(&bytes[..shown]),
            },
            forms,
            shown: shown as u64,
            all,
        }
    }

    pub(super) fn shown_text(&self) -> String {
        bytes(self.shown)
    }

    pub(super) fn all_text(&self) -> String {
        bytes(self.all)
    }

    /// What may be edited: text that is all there, and that a browser sends back as it is.
    pub(super) fn editable(bytes: &[u8], all: u64) -> Option<&str> {
        let is_whole = bytes.len() as u64 == all;
        let comes_back = |c: char| matches!(c, '\n' | '\t') || !c.is_control();
        let text = str::from_utf8(bytes).ok();
        text.filter(|text| is_whole && text.chars().all(comes_back))
    }
}

/// The text that the bytes are, or the beginning of a text: the last character may be cut off.
fn beginning(bytes: &[u8]) -> Option<&str> {
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// In one line of a list: control characters and what is no text become signs.
pub(super) fn in_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line: String = text.chars().take(LINE_CHARS).map(plain).collect();
    if text.chars().nth(LINE_CHARS).is_some() {
        line.push('…');
    }
    line
}

/// A text of several lines, or its beginning.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(BLOCK_CHARS).collect();
    if text.chars().nth(BLOCK_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Neither breaks a line nor turns its direction.
fn plain(c: char) -> char {
    let turns =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    match c {
        c if c.is_control() || turns => '·',
        c => c,
    }
}

/// The value of a header: text as it is, other bytes as digits.
pub(super) fn value(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(_) => in_line(bytes),
        Err(_) => {
            let digits = bytes.iter().take(LINE_CHARS / 2);
            let mut text = String::from("0x");
            for byte in digits {
                let _ = write!(text, "{byte:02x}");
            }
            if bytes.len() > LINE_CHARS / 2 {
                text.push('…');
            }
            text
        }
    }
}

/// Only the white space is changed: numbers keep all their digits, and keys that stand there twice stay.
fn indented(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            (in_string, escaped) = (c != '"' || escaped, c == '\\' && !escaped);
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
                while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                    chars.next();
                }
                if matches!(chars.peek(), Some('}' | ']')) {
                    depth -= 1;
                    out.extend(chars.next());
                } else {
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, line) in bytes.chunks(HEX_LINE).enumerate() {
        let _ = write!(text, "{:08x} ", at * HEX_LINE);
        for place in 0..HEX_LINE {
            match line.get(place) {
                Some(byte) => text.push_str(&format!(" {byte:02x}")),
                None => text.push_str("   "),
            }
        }
        text.push_str("  ");
        text.extend(line.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], asked: Option<&str>) -> (Form, String) {
        let payload = Payload::new(bytes, bytes.len() as u64, asked);
        (payload.form, payload.text)
    }

    #[test]
    fn json_is_indented_and_nothing_else_of_it_is_changed() {
        let text = r#" {"a":1e400,"a":12345678901234567890, "s":"{\"x\":[1,\\\" 2]}","e":[ ],"o":{},"l":[true,{"n":null}]} "#;
        let (form, json) = shown(text.as_bytes(), None);
        assert_eq!(form, Form::Json);
        let expected = "{\n  \"a\": 1e400,\n  \"a\": 12345678901234567890,\n  \"s\": \"{\\\"x\\\":[1,\\\\\\\" 2]}\",\n  \
                        \"e\": [],\n  \"o\": {},\n  \"l\": [\n    true,\n    {\n      \"n\": null\n    }\n  ]\n}";
        assert_eq!(json, expected);
        assert_eq!(shown(text.as_bytes(), Some("text")).1, text);
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(shown(deep.as_bytes(), Some("json")).0, Form::Text);
    }

    #[test]
    fn what_is_no_text_is_shown_as_digits() {
        let (form, text) = shown(b"\xff\x00<script>\n123456789", Some("text"));
        assert_eq!(form, Form::Hex);
        assert_eq!(
            text,
            "00000000  ff 00 3c 73 63 72 69 70 74 3e 0a 31 32 33 34 35  ..<script>.12345\n\
             00000010  36 37 38 39                                      6789\n"
        );
    }

    #[test]
    fn the_beginning_of_a_large_payload_is_shown_and_says_so() {
        let text = "测".repeat(9);
        let payload = Payload::new(&text.as_bytes()[..26], 1 << 20, Some("json"));
        assert_eq!(
            (payload.form, payload.text.as_str()),
            (Form::Text, "测测测测测测测测")
        );
        assert_eq!((payload.shown, payload.all), (24, 1 << 20));
        assert!(Payload::editable(&text.as_bytes()[..27], 1 << 20).is_none());
        assert_eq!(Payload::editable(text.as_bytes(), 27), Some(text.as_str()));
        assert_eq!(Payload::editable(b"a\r\n", 3), None);
        let hex = Payload::new(&[7; 9000], 9000, Some("hex"));
        assert_eq!((hex.shown, hex.text.lines().count()), (4096, 256));
    }

    #[test]
    fn a_line_stays_one_line_and_keeps_its_direction() {
        assert_eq!(in_line(b"a\n\x1b[31m\xff"), "a··[31m\u{fffd}");
        assert_eq!(in_line("\u{202e}gnp.exe".as_bytes()), "·gnp.exe");
        assert_eq!(in_line("x".repeat(999).as_bytes()).chars().count(), 121);
        assert_eq!(
            (value(b"\xff\x01").as_str(), value(b"ok").as_str()),
            ("0xff01", "ok")
        );
    }
}
