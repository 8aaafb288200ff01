//! What of JSON is read, and the faults of the rest.
//!
//! `//` and `/* */` comments and trailing commas are taken; nothing else that is not JSON. The
//! parser limits the depth of nesting (512), so no file overflows the stack.

use jsonc_parser::{
    ParseOptions, Scanner, ScannerOptions, ast::Value, parse_to_ast, tokens::Token,
};

use super::syntax_hints;

const SCANNER: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses a text: `None` where it holds no value; else the byte and the message of the fault.
pub(crate) fn parse(text: &str) -> Result<Option<Value<'_>>, (usize, String)> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: SCANNER.allow_single_quoted_strings,
        allow_hexadecimal_numbers: SCANNER.allow_hexadecimal_numbers,
        allow_unary_plus_numbers: SCANNER.allow_unary_plus_numbers,
        allow_bare_decimal_point_numbers: SCANNER.allow_bare_decimal_point_numbers,
        allow_non_finite_numbers: SCANNER.allow_non_finite_numbers,
        allow_extended_string_escapes: SCANNER.allow_extended_string_escapes,
    };
    if let Some(fault) = broken_string(text) {
        return Err(fault);
    }
    parse_to_ast(text, &Default::default(), &options)
        .map(|parsed| parsed.value)
        .map_err(|error| syntax_hints::explain(text, error.range().start, error.kind()))
}

/// The first string with a raw control character in it, which JSON forbids and the parser takes:
/// a string that is not closed would swallow the lines up to the next quote, and the fault would
/// be reported there.
fn broken_string(text: &str) -> Option<(usize, String)> {
    let mut scanner = Scanner::new(text, &SCANNER);
    while let Ok(Some(token)) = scanner.scan() {
        let (start, end) = (scanner.token_start(), scanner.token_end());
        let raw = &text.as_bytes()[start..end];
        if !matches!(token, Token::String(_)) {
            continue;
        }
        let message = match raw.iter().position(|byte| *byte < b' ') {
            None => continue,
            Some(at) if !matches!(raw[at], b'\n' | b'\r') => {
                let byte = raw[at];
                let right = if byte == b'\t' {
                    "\\t".to_owned()
                } else {
                    format!("\\u{byte:04x}")
                };
                let message = format!("a control character inside a string; write `{right}`");
                return Some((start + at, message));
            }
            Some(_) => {
                "this string goes on over the end of its line: is its closing quote missing? (a line break inside is written `\\n`)"
            }
        };
        return Some((start, message.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::faults;

    fn syntax(text: &str) -> String {
        let all = faults(text, |_| ());
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    #[test]
    fn comments_and_trailing_commas_are_read() {
        let text = "// 名称\r\n[ /* a */ {\"a\": [1, 2,], \"b\": null,}, ]// end";
        assert!(faults(text, |_| ()).is_empty());
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, wanted) in [
            ("[1 2]", "f:1:3: a comma is missing here"),
            ("[1,,2]", "f:1:4: a comma too many"),
            ("{\"a\" 1}", "f:1:6: a `:` is missing after this key"),
            ("{\"a\":", "f:1:6: a value is missing after the `:`"),
            (
                "{a: 1}",
                "f:1:2: a key in double quotes, or the object's `}`, would be right here",
            ),
            ("{'a': 1}", "f:1:2: strings stand in double quotes"),
            (
                "[\n  yes]",
                "f:2:3: `yes` is not JSON's; did you mean `true`?",
            ),
            ("[0x1]", "f:1:2: a number is written in decimal digits"),
            ("[+1]", "f:1:2: a number has no `+` before it"),
            (
                "[{\"a\": [1, 2",
                "f:1:8: the `[` opened here is never closed; is the file cut off?",
            ),
            ("{\"测试\": \"名\" 1}", "f:1:11: a comma is missing here"),
            (
                "[1] [2]",
                "f:1:5: the file holds one value, which ends before this",
            ),
            (
                "/* x",
                "f:1:1: the comment opened here is never closed with `*/`",
            ),
            ("[\"\\ud800\"]", "f:1:3: this escape is half a character;"),
        ] {
            let found = syntax(text);
            assert!(found.starts_with(wanted), "{text}\n{found}\n{wanted}");
        }
    }

    #[test]
    fn a_string_that_is_not_closed_is_reported_where_it_starts() {
        let found = syntax("[{\"a\": \"x,\n\"b\": \"y\"}]");
        assert!(
            found.starts_with("f:1:8: this string goes on over the end of its line"),
            "{found}"
        );
    }

    #[test]
    fn no_nesting_overflows_the_stack() {
        for text in [
            "[".repeat(10_000),
            "{\"a\":".repeat(10_000),
            "[{\"a\":".repeat(10_000),
        ] {
            assert!(syntax(&text).contains("nested too deep"));
        }
    }
}
