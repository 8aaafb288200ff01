//! `${NAME}` in a string is the environment's `NAME`: secrets stay out of files.
//!
//! `$${` stands for a literal `${`. What the environment holds is taken as it is, not searched again.

use std::borrow::Cow;

use super::quote;

/// How the environment is asked: a function, so that tests need no process-wide variables.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that cannot be put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadVariable {
    /// Byte offset of its `$` in the string.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Puts the environment's values in. Returns the variables for which that fails.
pub(crate) fn interpolate<'t>(
    text: &'t str,
    environment: Lookup<'_>,
) -> Result<Cow<'t, str>, Vec<BadVariable>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::new();
    let mut bad = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('$') {
        let offset = at + found;
        out.push_str(&text[at..offset]);
        let rest = &text[offset..];
        at = if rest.starts_with("$${") {
            out.push_str("${");
            offset + "$${".len()
        } else if rest.starts_with("${") {
            match variable(rest, environment) {
                Ok((length, value)) => {
                    out.push_str(&value);
                    offset + length
                }
                Err((length, message)) => {
                    bad.push(BadVariable { offset, message });
                    offset + length
                }
            }
        } else {
            out.push('$');
            offset + 1
        };
    }
    out.push_str(&text[at..]);
    if bad.is_empty() {
        Ok(Cow::Owned(out))
    } else {
        Err(bad)
    }
}

/// Reads one `${NAME}` at the start of `text`: how long it is, and its value or what is wrong.
fn variable(text: &str, environment: Lookup<'_>) -> Result<(usize, String), (usize, String)> {
    let inside = &text["${".len()..];
    let Some(end) = inside.find('}') else {
        let message = "`${` without its `}`; write `$${` for a literal `${`";
        return Err((text.len(), message.to_owned()));
    };
    let (name, length) = (&inside[..end], "${".len() + end + "}".len());
    if !is_name(name) {
        let message = format!(
            "{} names no environment variable (letters, digits and `_`); write `$${{` for a literal `${{`",
            quote::name(&text[..length])
        );
        return Err((length, message));
    }
    environment(name)
        .map(|value| (length, value))
        .ok_or_else(|| {
            let name = quote::name(name);
            (
                length,
                format!("the environment variable {name} is not set (or is not UTF-8)"),
            )
        })
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "USER_1" => Some("zeshi".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${USER_1}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, wanted) in [
            ("", ""),
            ("plain $ and $HOME", "plain $ and $HOME"),
            ("${USER_1}", "zeshi"),
            ("a${USER_1}b${EMPTY}c", "azeshibc"),
            ("${NESTED}", "${USER_1}"),
            ("$${USER_1}", "${USER_1}"),
            ("$$", "$$"),
            ("测${USER_1}试$", "测zeshi试$"),
        ] {
            assert_eq!(interpolate(text, &environment).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn each_bad_variable_is_reported() {
        let bad = interpolate("测${A}${B-x}${", &environment).unwrap_err();
        let offsets: Vec<usize> = bad.iter().map(|b| b.offset).collect();
        assert_eq!(offsets, [3, 7, 13]);
        assert!(
            bad[0].message.contains("`A` is not set"),
            "{}",
            bad[0].message
        );
        assert!(
            bad[1].message.contains("`${B-x}` names no"),
            "{}",
            bad[1].message
        );
        assert!(
            bad[2].message.contains("without its `}`"),
            "{}",
            bad[2].message
        );
    }

    #[test]
    fn names_are_those_of_shells() {
        assert!(is_name("_A1"));
        for name in ["", "1A", "A B", "Ä", "a.b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
