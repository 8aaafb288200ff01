//! The partition: one running daemon's share of the work.

use std::{fmt, str::FromStr};

use crate::jsonc::quote;

/// The longest name: `crontab_log.partition` is a varchar(20).
const LONGEST: usize = 20;

/// The name of a partition (`SCRIPT_PARTITION`); chooses the queue and crontab files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(String);

impl Default for Partition {
    fn default() -> Self {
        Self("script1".to_owned())
    }
}

/// A name that no partition may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is no partition; 1 to {LONGEST} of letters, digits, `_` and `-` would be right, such as `script1`",
    quote::name(.0)
)]
pub struct BadPartition(String);

impl FromStr for Partition {
    type Err = BadPartition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if (1..=LONGEST).contains(&text.len()) && text.chars().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPartition(text.to_owned()))
        }
    }
}

impl AsRef<str> for Partition {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_a_short_plain_name() {
        for text in ["script1", "a", "A-b_9", "12345678901234567890"] {
            assert_eq!(text.parse::<Partition>().unwrap().as_ref(), text);
        }
        for text in ["", "123456789012345678901", "a b", "../x", "测", "a.b"] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
        assert_eq!(
            Partition::default().to_string().parse(),
            Ok(Partition::default())
        );
    }
}
