//! Quoting of words for a POSIX shell, so that people can paste commands from the log.
//!
//! Readable first: no quotes where none are needed, Chinese text as it is, and `"it's"` rather
//! than `'it'\''s'`. A line break inside a word stays one: plain POSIX has no other way.

/// Characters beside letters and digits that no shell gives a meaning to, in any place of a word.
const PLAIN: &str = "_-./:@%+,";

/// Characters that keep a meaning between double quotes (`!` in interactive shells).
const LIVE_IN_DOUBLE_QUOTES: &str = "\"$`\\!";

/// Where a word stands: the first of a command is read with rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The program: `A=b` would be an assignment here.
    Program,
    /// Any later word.
    Argument,
}

/// Writes `text` so that a POSIX shell reads exactly it, as one word.
pub(crate) fn quote(text: &str, word: Word) -> String {
    let plain = |(at, c): (usize, char)| {
        c.is_alphanumeric()
            || PLAIN.contains(c)
            // zsh expands a leading `=`.
            || (c == '=' && word == Word::Argument && at > 0)
    };
    if !text.is_empty() && text.char_indices().all(plain) {
        text.to_owned()
    } else if text.contains('\'') && !text.contains(|c| LIVE_IN_DOUBLE_QUOTES.contains(c)) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        let cases = [
            ("/usr/bin/simplest_script", "/usr/bin/simplest_script"),
            ("--uk=a-1", "--uk=a-1"),
            ("=x", "'=x'"),
            ("", "''"),
            ("每日报表", "每日报表"),
            ("每日 报表", "'每日 报表'"),
            ("a\u{3000}b", "'a\u{3000}b'"),
            (r#"{"day":1}"#, r#"'{"day":1}'"#),
            ("a=1&b=2", "'a=1&b=2'"),
            ("it's", "\"it's\""),
            ("it's $5", r"'it'\''s $5'"),
            ("~", "'~'"),
            ("*", "'*'"),
        ];
        for (text, expected) in cases {
            assert_eq!(quote(text, Word::Argument), expected, "{text}");
        }
        assert_eq!(quote("A=b", Word::Program), "'A=b'");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let every_ascii = (1..128_u8).map(char::from).collect::<String>();
        let mut words: Vec<String> = (1..128_u8).map(|byte| char::from(byte).into()).collect();
        words.extend([
            every_ascii,
            "it's \"$HOME\" `id` \\ !".into(),
            "日本\n語 'x'".into(),
        ]);
        let quoted: Vec<_> = words.iter().map(|w| quote(w, Word::Argument)).collect();
        let script = format!("printf '%s\\0' {}", quoted.join(" "));
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(read, expected);
    }
}
