//! What the file of a cron entry is called: after its name, readable, and like that of no other.
//!
//! Letters and digits of any script stay, and so do `-`, `_` and `.`. Any other byte is `%` and two digits, as in an
//! address. A name that is too long is cut, and ends in `~` and a number made from all of it; of entries that share a name
//! each has `~` and the beginning of its key. No name contains `~` itself: that is `%7E`.

use std::fmt::Write;

use uuid::Uuid;

/// The most bytes of a name that are used: it may be longer than the name of a file, which has 255 bytes. The others are
/// room for both numbers, a day, the number of a full file and `.out.gz.tmp`.
const LONGEST: usize = 160;
/// The namespace of the numbers of long names; any constant does, as long as it never changes.
const LONG_NAMES: Uuid = Uuid::from_u128(0x5b7d_10a9_c3e6_5f24_b06e_92d4_8f31_7ac8);

/// How the names of an entry's files begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OutputName(String);

impl OutputName {
    /// `distinct` distinguishes entries of one name: letters and digits.
    pub(crate) fn new(entry: &str, distinct: Option<&str>) -> Self {
        let mut name = String::new();
        for (at, c) in entry.char_indices() {
            // One that begins with a dot would be hidden, and `..` a directory.
            let plain = match c {
                '.' => at > 0,
                _ if c.is_ascii() => c.is_ascii_alphanumeric() || "-_".contains(c),
                _ => !c.is_whitespace() && !c.is_control(),
            };
            if plain {
                name.push(c);
            } else {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    // Writing into a string does not fail.
                    let _ = write!(name, "%{byte:02X}");
                }
            }
        }
        if name.len() > LONGEST {
            name.truncate(name.floor_char_boundary(LONGEST));
            let number = Uuid::new_v5(&LONG_NAMES, entry.as_bytes());
            let _ = write!(name, "~{}", number.simple());
        }
        if let Some(distinct) = distinct {
            let _ = write!(name, "~{distinct}");
        }
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_readable() {
        for (entry, expected) in [
            ("report-1.a_b", "report-1.a_b"),
            ("report/daily", "report%2Fdaily"),
            ("每日报表（早）", "每日报表（早）"),
            ("a b", "a%20b"),
            ("..", "%2E."),
            ("a~1", "a%7E1"),
            ("a\u{3000}b", "a%E3%80%80b"),
        ] {
            assert_eq!(OutputName::new(entry, None).as_str(), expected);
        }
        assert_eq!(OutputName::new("a", Some("12")).as_str(), "a~12");
    }

    #[test]
    fn no_two_entries_have_one_name() {
        let long = "报".repeat(250);
        let entries = [
            "report/daily",
            "report daily",
            "report:daily",
            "report_daily",
            "report%2Fdaily",
            "report%252Fdaily",
            "a",
            "a~12",
            "A",
            &long,
            &format!("{long}1"),
            &format!("{long}2"),
            &"/".repeat(250),
            &"/".repeat(251),
        ];
        let mut names = BTreeSet::new();
        for entry in entries {
            for distinct in [None, Some("12"), Some("34")] {
                let name = OutputName::new(entry, distinct);
                assert!(name.as_str().len() <= 255 - 30, "{name:?}");
                assert!(names.insert(name), "{entry} {distinct:?}");
            }
        }
    }
}
