//! The keys that queue entries and delayed tasks share: how long a job may take and how often it
//! is tried.

use std::{num::NonZeroU32, time::Duration};

use crate::backoff::Backoff;
use crate::jsonc::duration::{self, Bounds};
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;

/// The most attempts: a thousand waits of 5 minutes are more than three days; who wants more wants
/// a dead letter and a replay.
const MOST_ATTEMPTS: u64 = 1_000;

/// A job's own time limit.
pub(super) const TIMEOUT: Bounds = Bounds {
    least: Duration::from_millis(1),
    most: duration::LONGEST,
    why: "`null`, or no `timeout`, for no limit",
};

const BACKOFF: Bounds = Bounds {
    least: Duration::from_millis(1),
    most: duration::LONGEST,
    why: "without a wait a failing job would take all the time there is",
};

/// How often and when a failed job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRules {
    /// After this many failed attempts a job is a dead letter.
    pub max_attempts: NonZeroU32,
    /// The waits between them.
    pub backoff: Backoff,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            max_attempts: NonZeroU32::MIN.saturating_add(4),
            backoff: Backoff::default(),
        }
    }
}

impl RetryRules {
    pub(super) fn read(o: &Object<'_, '_>) -> Option<Self> {
        let default = Self::default();
        let max_attempts = o.optional("max_attempts", default.max_attempts, |node| {
            node.positive(MOST_ATTEMPTS)
        });
        let backoff = o.optional("backoff", default.backoff, backoff);
        Some(Self {
            max_attempts: max_attempts?,
            backoff: backoff?,
        })
    }
}

/// The optional `timeout`.
pub(super) fn timeout(o: &Object<'_, '_>) -> Option<Option<Duration>> {
    o.maybe("timeout", |node| node.duration(&TIMEOUT))
}

/// A duration, which is the base, or `{"base": …, "max": …}`.
fn backoff(node: &Node<'_>) -> Option<Backoff> {
    if !node.is_object() && !node.is_string() && !node.is_number() {
        return node.wanted("a duration such as `\"1s\"`, or `{\"base\": …, \"max\": …}`");
    }
    if !node.is_object() {
        let base = node.duration(&BACKOFF)?;
        return Some(Backoff {
            base,
            max: Backoff::DEFAULT_MAX.max(base),
        });
    }
    node.object(|o| {
        let base = o.maybe("base", |node| node.duration(&BACKOFF));
        let max = o.maybe("max", |node| node.duration(&BACKOFF));
        let default = Backoff::default();
        let (base, max) = match (base?, max?) {
            (Some(base), Some(max)) if base > max => {
                let (base, max) = (duration::show(base), duration::show(max));
                let place = o.place_of("max");
                place.fault(format!(
                    "wanted at least `base`, which is {base}, found {max}"
                ));
                return None;
            }
            (Some(base), Some(max)) => (base, max),
            (Some(base), None) => (base, default.max.max(base)),
            (None, Some(max)) => (default.base.min(max), max),
            (None, None) => (default.base, default.max),
        };
        Some(Backoff { base, max })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc::testing::{faults, good};

    #[test]
    fn a_backoff_is_its_base_or_both_ends() {
        for (text, base, max) in [
            ("\"2s\"", 2, 300),
            ("2", 2, 300),
            ("\"10m\"", 600, 600),
            ("{\"base\": 2, \"max\": 8}", 2, 8),
            ("{\"base\": 600}", 600, 600),
            ("{\"max\": 10}", 1, 10),
            ("{}", 1, 300),
        ] {
            let wanted = Backoff {
                base: Duration::from_secs(base),
                max: Duration::from_secs(max),
            };
            assert_eq!(good(text, backoff), wanted, "{text}");
        }
    }

    #[test]
    fn a_backoff_is_never_nothing_and_never_upside_down() {
        for (text, wanted) in [
            (
                "0",
                "f:1:1: wanted a duration from 1ms to 3650d (without a wait",
            ),
            ("\"soon\"", "f:1:1: wanted a duration such as `90s`"),
            (
                "null",
                "f:1:1: wanted a duration such as `\"1s\"`, or `{\"base\": …",
            ),
            (
                "{\"base\": 9, \"max\": 8}",
                "f:1:20: `max`: wanted at least `base`, which is 9s, found 8s",
            ),
            (
                "{\"bass\": 9}",
                "f:1:2: `bass`: unknown key; did you mean `base`?",
            ),
        ] {
            let found = faults(text, backoff);
            assert!(
                found.len() == 1 && found[0].starts_with(wanted),
                "{text} {found:?}"
            );
        }
    }

    #[test]
    fn five_attempts_are_the_default() {
        let read = |text: &str| {
            good(text, |node| node.object(RetryRules::read))
                .max_attempts
                .get()
        };
        assert_eq!(read("{}"), 5);
        assert_eq!(read("{\"max_attempts\": 1}"), 1);
        assert_eq!(
            faults("{\"max_attempts\": 0}", |node| node
                .object(RetryRules::read))
            .len(),
            1
        );
    }
}
