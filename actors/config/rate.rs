//! `rate_limit`: how many messages of a queue may start in a second, a minute or an hour.

use std::fmt;
use std::num::NonZeroU32;

use crate::jsonc::node::Node;
use crate::jsonc::sketch::Form;

/// The most starts: a permit each microsecond, the unit in which permits are counted. Without a limit no queue is faster.
const MOST_STARTS: u32 = 1_000_000;
/// What is handed out at a time, as the time it lasts: long enough that the place which keeps the limit is asked five times a second,
/// short enough that a daemon which dies takes little with it.
const PORTION_MS: u64 = 200;
const WHAT: &str = "a number of messages and a unit: `100/s`, `30/m` or `5/h`, from 1 to 1,000,000";

/// A number of starts per unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    starts: NonZeroU32,
    per: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
        };
        write!(f, "{}/{unit}", self.starts)
    }
}

impl RateLimit {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (starts, unit) = text.split_once('/')?;
        let is_number = !starts.is_empty() && starts.bytes().all(|byte| byte.is_ascii_digit());
        let starts: u32 = is_number.then(|| starts.parse().ok())??;
        let per = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return None,
        };
        let starts = NonZeroU32::new(starts).filter(|starts| starts.get() <= MOST_STARTS)?;
        Some(Self { starts, per })
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        if !node.is_string() {
            return node.wanted(WHAT);
        }
        node.has_form(|| Form {
            pattern: "^0*[1-9][0-9]*/[smh]$".to_owned(),
            what: WHAT,
            chinese: "消息数和单位：`100/s`、`30/m` 或 `5/h`，1 到 1,000,000",
        });
        match Self::parse(&node.string()?) {
            Some(limit) => Some(limit),
            None => node.wanted(WHAT),
        }
    }

    /// Nanoseconds from one start to the next.
    pub(crate) fn interval_ns(self) -> i64 {
        let per_ns = i64::from(self.per.seconds()) * 1_000_000_000;
        per_ns / i64::from(self.starts.get())
    }

    /// Permits that are handed out together.
    pub(crate) fn portion(self) -> u32 {
        let portion =
            u64::from(self.starts.get()) * PORTION_MS / (u64::from(self.per.seconds()) * 1000);
        u32::try_from(portion).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_a_unit() {
        for (text, interval_ns, portion) in [
            ("100/s", 10_000_000, 20),
            ("1/s", 1_000_000_000, 1),
            ("30/m", 2_000_000_000, 1),
            ("6000/m", 10_000_000, 20),
            ("3/h", 1_200_000_000_000, 1),
            ("1000000/s", 1_000, 200_000),
        ] {
            let limit = RateLimit::parse(text).unwrap();
            assert_eq!(
                (limit.interval_ns(), limit.portion()),
                (interval_ns, portion),
                "{text}"
            );
            assert_eq!(limit.to_string(), text);
        }
        for wrong in [
            "",
            "fast",
            "100",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1/d",
            "1/",
            "1.5/s",
            "1/s/s",
            " 1/s",
            "1000001/s",
            "1 /s",
        ] {
            assert_eq!(RateLimit::parse(wrong), None, "{wrong}");
        }
    }
}
