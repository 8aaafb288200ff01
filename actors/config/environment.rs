//! The environment, and the status bits that say in which environments an entry is live.

use std::{fmt, str::FromStr};

use crate::jsonc::node::Node;
use crate::jsonc::quote;

/// Where the daemon runs (`SCRIPT_ENV`); chooses `etc/{environment}.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Environment {
    /// A developer's machine; the default.
    #[default]
    Dev,
    /// Shared tests.
    Test,
    /// Production.
    Release,
    /// The last step before production.
    Pre,
}

impl Environment {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 4] = [Self::Dev, Self::Test, Self::Release, Self::Pre];

    /// This environment's bit in an entry's `status`.
    pub fn bit(self) -> u8 {
        match self {
            Self::Dev => 1,
            Self::Test => 2,
            Self::Release => 4,
            Self::Pre => 8,
        }
    }

    /// The name, as in `SCRIPT_ENV` and `etc/{name}.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Release => "release",
            Self::Pre => "pre",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is no environment; one of `dev`, `test`, `release`, `pre` would be right",
    quote::name(.0)
)]
pub struct UnknownEnvironment(String);

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|environment| environment.name() == text);
        found.ok_or_else(|| UnknownEnvironment(text.to_owned()))
    }
}

/// The environments in which an entry is live, as the sum of their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StatusBits(u8);

impl StatusBits {
    /// Live in every environment.
    pub(crate) const ALL: Self = Self(15);

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let what = "a whole number from 0 to 15, the sum of dev 1, test 2, release 4, pre 8";
        let bits = node.integer_as(0..=u64::from(Self::ALL.0), what)?;
        u8::try_from(bits).ok().map(Self)
    }

    /// Whether the entry is live there.
    pub(crate) fn contains(self, environment: Environment) -> bool {
        self.0 & environment.bit() != 0
    }

    /// The sum itself, as in the file.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Why the entry of that name is not live there.
    pub(super) fn why_not_live(self, name: &str, environment: Environment) -> String {
        let name = quote::name(name);
        if self.0 == 0 {
            format!("{name}: status 0 is never live")
        } else {
            format!(
                "{name}: status {} is {}; this is {environment}",
                self.0,
                self.environments()
            )
        }
    }

    fn environments(self) -> String {
        let live = Environment::ALL
            .into_iter()
            .filter(|environment| self.contains(*environment));
        let names: Vec<&str> = live.map(Environment::name).collect();
        names.join(", ")
    }
}

impl fmt::Display for StatusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "0 (never live)"),
            bits => write!(f, "{bits} ({})", self.environments()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc::testing::{faults, good};

    #[test]
    fn environments_are_named_as_in_the_files() {
        for environment in Environment::ALL {
            assert_eq!(environment.to_string().parse(), Ok(environment));
        }
        assert_eq!(
            "prod".parse::<Environment>().unwrap_err().to_string(),
            "`prod` is no environment; one of `dev`, `test`, `release`, `pre` would be right"
        );
        assert!("Dev".parse::<Environment>().is_err());
    }

    #[test]
    fn status_bits_say_where_an_entry_is_live() {
        use Environment::{Dev, Pre, Release, Test};
        for (bits, live, shown) in [
            (0, vec![], "0 (never live)"),
            (1, vec![Dev], "1 (dev)"),
            (4, vec![Release], "4 (release)"),
            (7, vec![Dev, Test, Release], "7 (dev, test, release)"),
            (
                15,
                vec![Dev, Test, Release, Pre],
                "15 (dev, test, release, pre)",
            ),
        ] {
            let status = StatusBits(bits);
            for environment in Environment::ALL {
                assert_eq!(status.contains(environment), live.contains(&environment));
            }
            assert_eq!(status.to_string(), shown);
        }
    }

    #[test]
    fn status_is_read_in_its_range() {
        assert_eq!(good("15", StatusBits::read), StatusBits(15));
        for text in ["16", "-1", "1.5", "\"4\"", "null"] {
            assert_eq!(faults(text, StatusBits::read).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_entry_says_why_it_is_not_live() {
        let why = |bits| StatusBits(bits).why_not_live("kafka测试", Environment::Dev);
        assert_eq!(why(4), "`kafka测试`: status 4 is release; this is dev");
        assert_eq!(
            why(6),
            "`kafka测试`: status 6 is test, release; this is dev"
        );
        assert_eq!(why(0), "`kafka测试`: status 0 is never live");
    }
}
