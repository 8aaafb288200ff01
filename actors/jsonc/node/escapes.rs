//! Where the characters of a string stand in the file, which may write them as escapes.

/// The byte of `raw`, what stands between the quotes, at which the byte `offset` of its value is written.
pub(crate) fn offset_of(raw: &str, offset: usize) -> Option<usize> {
    let (mut at, mut value) = (0, 0);
    while value < offset {
        let (written, meant) = one(raw.get(at..)?)?;
        at += written;
        value += meant;
    }
    Some(at)
}

/// How many bytes the first character takes as it is written, and in the value.
fn one(raw: &str) -> Option<(usize, usize)> {
    let first = raw.chars().next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let Some(digits) = raw.strip_prefix("\\u") else {
        return Some((2, 1));
    };
    let code = u32::from_str_radix(digits.get(..4)?, 16).ok()?;
    Some(match char::from_u32(code) {
        Some(c) => (6, c.len_utf8()),
        // Half a character; the other half follows, and together they take four bytes.
        None => (12, 4),
    })
}

#[cfg(test)]
mod tests {
    use super::offset_of;

    #[test]
    fn each_character_is_found_however_it_is_written() {
        for (raw, value) in [
            ("ab测c", "ab测c"),
            ("\\n\\\"\\\\x", "\n\"\\x"),
            ("\\u6d4bx\\u0000y", "测x\0y"),
            ("\\ud83d\\ude00x", "😀x"),
        ] {
            let mut written = Vec::new();
            for (offset, _) in value.char_indices() {
                written.push(offset_of(raw, offset).unwrap());
            }
            assert!(written.is_sorted(), "{raw}: {written:?}");
            if let Some(at) = value.find('x') {
                assert_eq!(offset_of(raw, at), raw.find('x'), "{raw}");
            }
            assert_eq!(offset_of(raw, value.len()), Some(raw.len()), "{raw}");
        }
        assert_eq!(offset_of("a", 2), None);
        assert_eq!(offset_of("\\u12", 1), None);
    }
}
