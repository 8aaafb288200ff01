//! The key of one run, which is also the name of its file.
//!
//! It is a type because it becomes part of a path: a key that was never checked could name any
//! file of the machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Longest key: the width of `crontab_log.uk`, a `varchar(100)`.
const MAX_LEN: usize = 100;

/// The key of one run: 1 to 100 characters of `A-Z`, `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Uk(String);

/// A text that is no [`Uk`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{found}`: not the key of a run; right are 1 to {MAX_LEN} of `A-Z`, `a-z`, `0-9`, `-`")]
pub(crate) struct InvalidUk {
    found: String,
}

/// The namespace of the keys of fires; any constant does.
const FIRES: Uuid = Uuid::from_u128(0x9a1d_53c2_7f0b_5e88_8d11_6b0f_2a64_c7e5);

impl Uk {
    /// The key of one boot's fire. A boot's name is random, so no other boot makes the same.
    pub(crate) fn of_fire(owner: &str, entry: &str, scheduled_ms: i64) -> Self {
        let fire = format!("{owner}/{entry}/{scheduled_ms}");
        Self(Uuid::new_v5(&FIRES, fire.as_bytes()).to_string())
    }

    /// The key as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Uk {
    type Error = InvalidUk;

    fn try_from(text: String) -> Result<Self, InvalidUk> {
        let right = (1..=MAX_LEN).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if right {
            Ok(Self(text))
        } else {
            Err(InvalidUk { found: text })
        }
    }
}

impl FromStr for Uk {
    type Err = InvalidUk;

    fn from_str(text: &str) -> Result<Self, InvalidUk> {
        text.to_owned().try_into()
    }
}

impl From<Uk> for String {
    fn from(uk: Uk) -> Self {
        uk.0
    }
}

impl fmt::Display for Uk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_letters_digits_and_hyphens() {
        assert_eq!("b-7F".parse::<Uk>().unwrap().as_str(), "b-7F");
        assert!("a".repeat(MAX_LEN).parse::<Uk>().is_ok());
    }

    #[test]
    fn each_fire_of_each_boot_has_a_key_of_its_own() {
        let key = Uk::of_fire("script1/a", "e", 1000);
        assert_eq!(key, Uk::of_fire("script1/a", "e", 1000));
        for other in [
            ("script1/b", "e", 1000),
            ("script1/a", "f", 1000),
            ("script1/a", "e", 2000),
        ] {
            assert_ne!(key, Uk::of_fire(other.0, other.1, other.2));
        }
        assert!(key.as_str().parse::<Uk>().is_ok());
    }

    #[test]
    fn a_key_never_leaves_its_directory() {
        let long = "a".repeat(MAX_LEN + 1);
        for wrong in [
            "", ".", "..", "../x", "a/b", "a.json", "a b", "a\0", "任务", &long,
        ] {
            let error = wrong.parse::<Uk>().unwrap_err().to_string();
            assert!(error.contains("right are 1 to 100"), "{wrong}: {error}");
        }
    }
}
