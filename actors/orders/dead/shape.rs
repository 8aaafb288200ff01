//! The common shape of errors that differ in numbers and ids alone.

/// Characters of an error that distinguish groups.
const SHAPE_CHARS: usize = 100;
/// Stands for a number or an id.
const ANY: char = '#';

/// The beginning of an error, with a sign for each number and id in it: a UUID, or a word with a digit in it. Such words that
/// only `-`, `.`, `:`, `/`, `,` or `+` stand between are one, as in times and addresses.
pub(super) fn shape(error: &str) -> String {
    let mut shape = String::new();
    let mut chars = 0;
    let mut rest = error.trim();
    while let Some(first) = rest.chars().next() {
        if chars >= SHAPE_CHARS {
            break;
        }
        let end = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
            0 => first.len_utf8(),
            _ if is_uuid(rest) => UUID_CHARS,
            end => end,
        };
        let (part, behind) = rest.split_at(end);
        rest = behind;
        if !is_word(first) {
            shape.push(first);
            chars += 1;
        } else if !part.bytes().any(|byte| byte.is_ascii_digit()) {
            let room = SHAPE_CHARS - chars;
            shape.extend(part.chars().take(room));
            chars += part.len().min(room);
        } else if joins(&shape) {
            shape.pop();
            chars -= 1;
        } else {
            shape.push(ANY);
            chars += 1;
        }
    }
    shape
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const UUID_CHARS: usize = 36;

/// Whether the text begins with a UUID. A part of one may have no digit.
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.as_bytes().get(..UUID_CHARS) else {
        return false;
    };
    let of_uuid = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let goes_on = text.as_bytes().get(UUID_CHARS).copied().map(char::from);
    uuid.iter().enumerate().all(of_uuid)
        && uuid.iter().any(u8::is_ascii_digit)
        && !goes_on.is_some_and(is_word)
}

/// Whether an id behind this belongs to the one at its end.
fn joins(shape: &str) -> bool {
    let before = shape.strip_suffix(['-', '.', ':', '/', ',', '+']);
    before.is_some_and(|before| before.ends_with(ANY))
}

/// For `error LIKE … ESCAPE '!'`: all errors of that shape, and some others.
pub(super) fn pattern(shape: &str) -> String {
    let mut pattern = String::new();
    for c in shape.chars() {
        match c {
            ANY => pattern.push('%'),
            '!' | '%' | '_' => pattern.extend(['!', c]),
            c => pattern.push(c),
        }
    }
    format!("%{pattern}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_differing_in_numbers_have_one_shape() {
        for (errors, expected) in [
            (
                &[
                    "connect to 10.0.0.7:5432 failed after 3 tries",
                    "connect to 192.168.17.1:1 failed after 12 tries",
                ][..],
                "connect to # failed after # tries",
            ),
            (
                &[
                    "order 3f2b1c00-aaaa-4bbb-8ccc-0123456789ab is gone",
                    "order 00000000-1111-2222-3333-444444444444 is gone",
                    "order ord_7Kx is gone",
                ],
                "order # is gone",
            ),
            (
                &[
                    "at 2026-01-31T08:30:00.123Z: 0xdeadbeef1",
                    "at 2025-12-01T00:00:00Z: 7",
                ],
                "at #: #",
            ),
            (&["订单 17 不存在", "订单 4711 不存在"], "订单 # 不存在"),
            (&["订单17不存在", "订单4不存在"], "订单#不存在"),
            (&["  timed out\n", "timed out"], "timed out"),
            (&["took 1.5 s, 2 left"], "took # s, # left"),
            (&[""], ""),
        ] {
            for error in errors {
                assert_eq!(shape(error), expected, "{error}");
            }
        }
        let long = |id: &str| format!("{id} {}", "word ".repeat(99));
        assert_eq!(shape(&long("1")), shape(&long("4711-0815")));
        assert_eq!(shape(&long("1")).chars().count(), SHAPE_CHARS);
        assert_eq!(shape(&"测".repeat(300)).chars().count(), SHAPE_CHARS);
        assert_eq!(shape(&"a".repeat(300)).chars().count(), SHAPE_CHARS);
    }

    #[test]
    fn a_uuid_is_one_id_whatever_its_parts_are() {
        let ids = [
            "3f2b1c00-abcd-4bbb-8ccc-0123456789ab",
            "abcdefab-1111-2222-3333-444444444444",
        ];
        for id in ids {
            assert_eq!(
                shape(&format!("order {id} is gone")),
                "order # is gone",
                "{id}"
            );
        }
        assert_eq!(shape("no-such-file 7"), "no-such-file #");
        let longer = "3f2b1c00-abcd-4bbb-8ccc-0123456789abc";
        assert_eq!(shape(longer), "#-abcd-#", "which is none");
        assert_eq!(
            shape("3f2b1c00-测试测试测试测试测试测试测试测试测试"),
            "#-测试测试测试测试测试测试测试测试测试"
        );
    }

    #[test]
    fn a_pattern_takes_each_error_of_its_shape() {
        assert_eq!(pattern("50%_! of #"), "%50!%!_!! of %%");
    }
}
