//! The key `alert.rules`: the daemon's own alerts, each of which may be changed or switched off.

use crate::jsonc::node::Node;
use crate::jsonc::object::Object;

/// The most LagChecks or deaths that a rule may wait for.
const MOST_TIMES: u64 = 100;
/// A day: what is allowed to last longer is no alert.
const MOST_SECONDS: u64 = 24 * 60 * 60;
/// A week: what happened longer ago is history.
const MOST_KEPT_SECONDS: u64 = 7 * 24 * 60 * 60;
/// A petabyte.
const MOST_GB: u64 = 1_000_000;

const SEVERITIES: [(&str, AlertSeverity); 2] = [
    ("warning", AlertSeverity::Warning),
    ("critical", AlertSeverity::Critical),
];

/// How much depends on an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertSeverity {
    /// An operator should check it.
    Warning,
    /// Somebody must act.
    Critical,
}

/// The daemon's own alerts. `None`: switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRules {
    /// The lag of a queue is above its limit at full size.
    pub lag: Option<LagRule>,
    /// Messages or delayed tasks became dead letters.
    pub dead_letters: Option<EventRule>,
    /// The last run of a cron entry did not end well.
    pub cron_runs: Option<CronRule>,
    /// Fires of a cron entry were missed.
    pub misfires: Option<EventRule>,
    /// A server is away, or a queue gets nothing from its own.
    pub outages: Option<OutageRule>,
    /// Delayed tasks wait past their time.
    pub late_tasks: Option<LateRule>,
    /// A part of the daemon dies again and again.
    pub restarts: Option<RestartRule>,
    /// A disk is nearly full.
    pub disk: Option<DiskRule>,
}

/// See [`AlertRules::lag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// LagChecks in a row that find it so.
    pub checks: u64,
}

/// What happens rather than lasts: see [`AlertRules::dead_letters`] and [`AlertRules::misfires`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// Seconds from the last event until the alert is resolved.
    pub resolve_after_seconds: u64,
}

/// See [`AlertRules::cron_runs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CronRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
}

/// See [`AlertRules::outages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutageRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// How many seconds it has lasted.
    pub after_seconds: u64,
}

/// See [`AlertRules::late_tasks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// How many seconds past its time the oldest one is.
    pub above_seconds: u64,
}

/// See [`AlertRules::restarts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// How often it died.
    pub times: u64,
    /// Within this many seconds.
    pub within_seconds: u64,
}

/// See [`AlertRules::disk`]. Both must be true: a tenth of a large disk is much, and so is one gigabyte of a small one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRule {
    /// Of its alerts.
    pub severity: AlertSeverity,
    /// Less than this share of it is free,
    pub free_percent: u64,
    /// and less than this many gigabytes (10⁹ bytes).
    pub free_gb: u64,
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            lag: Some(LagRule::default()),
            dead_letters: Some(EventRule::default()),
            cron_runs: Some(CronRule::default()),
            misfires: Some(EventRule::default()),
            outages: Some(OutageRule::default()),
            late_tasks: Some(LateRule::default()),
            restarts: Some(RestartRule::default()),
            disk: Some(DiskRule::default()),
        }
    }
}

impl Default for LagRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Warning,
            checks: 2,
        }
    }
}

impl Default for EventRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Warning,
            resolve_after_seconds: 3_600,
        }
    }
}

impl Default for CronRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Warning,
        }
    }
}

impl Default for OutageRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Critical,
            after_seconds: 30,
        }
    }
}

impl Default for LateRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Warning,
            above_seconds: 10,
        }
    }
}

impl Default for RestartRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Critical,
            times: 3,
            within_seconds: 600,
        }
    }
}

impl Default for DiskRule {
    fn default() -> Self {
        Self {
            severity: AlertSeverity::Critical,
            free_percent: 10,
            free_gb: 20,
        }
    }
}

impl AlertRules {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let lag = rule(o, "lag", LagRule::read);
            let dead_letters = rule(o, "dead_letters", EventRule::read);
            let cron_runs = rule(o, "cron_runs", CronRule::read);
            let misfires = rule(o, "misfires", EventRule::read);
            let outages = rule(o, "outages", OutageRule::read);
            let late_tasks = rule(o, "late_tasks", LateRule::read);
            let restarts = rule(o, "restarts", RestartRule::read);
            let disk = rule(o, "disk", DiskRule::read);
            Some(Self {
                lag: lag?,
                dead_letters: dead_letters?,
                cron_runs: cron_runs?,
                misfires: misfires?,
                outages: outages?,
                late_tasks: late_tasks?,
                restarts: restarts?,
                disk: disk?,
            })
        })
    }
}

/// `false` switches it off, an object changes it.
fn rule<T: Default>(
    o: &Object<'_, '_>,
    key: &'static str,
    read: impl Fn(&Object<'_, '_>) -> Option<T>,
) -> Option<Option<T>> {
    o.optional(key, Some(T::default()), |node| {
        if node.is_boolean() {
            return node.boolean().map(|is_on| is_on.then(T::default));
        }
        if !node.is_object() {
            return node.wanted("`false`, or an object `{…}` of what is to be different");
        }
        node.object(|o| read(o)).map(Some)
    })
}

fn severity(o: &Object<'_, '_>, default: AlertSeverity) -> Option<AlertSeverity> {
    o.optional("severity", default, |node| node.one_of(&SEVERITIES))
}

fn number(o: &Object<'_, '_>, key: &'static str, default: u64, most: u64) -> Option<u64> {
    o.optional(key, default, |node| node.integer(1..=most))
}

impl LagRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let checks = number(o, "checks", d.checks, MOST_TIMES);
        Some(Self {
            severity: severity?,
            checks: checks?,
        })
    }
}

impl EventRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let resolve_after_seconds = number(
            o,
            "resolve_after_seconds",
            d.resolve_after_seconds,
            MOST_KEPT_SECONDS,
        );
        Some(Self {
            severity: severity?,
            resolve_after_seconds: resolve_after_seconds?,
        })
    }
}

impl CronRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let severity = severity(o, Self::default().severity);
        Some(Self {
            severity: severity?,
        })
    }
}

impl OutageRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let after_seconds = number(o, "after_seconds", d.after_seconds, MOST_SECONDS);
        Some(Self {
            severity: severity?,
            after_seconds: after_seconds?,
        })
    }
}

impl LateRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let above_seconds = number(o, "above_seconds", d.above_seconds, MOST_SECONDS);
        Some(Self {
            severity: severity?,
            above_seconds: above_seconds?,
        })
    }
}

impl RestartRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let times = number(o, "times", d.times, MOST_TIMES);
        let within_seconds = number(o, "within_seconds", d.within_seconds, MOST_SECONDS);
        Some(Self {
            severity: severity?,
            times: times?,
            within_seconds: within_seconds?,
        })
    }
}

impl DiskRule {
    fn read(o: &Object<'_, '_>) -> Option<Self> {
        let d = Self::default();
        let severity = severity(o, d.severity);
        let free_percent = number(o, "free_percent", d.free_percent, 99);
        let free_gb = number(o, "free_gb", d.free_gb, MOST_GB);
        Some(Self {
            severity: severity?,
            free_percent: free_percent?,
            free_gb: free_gb?,
        })
    }
}

/// As a file has them.
#[cfg(test)]
pub(crate) fn alert_rules_of(text: &str) -> AlertRules {
    crate::jsonc::testing::good(text, AlertRules::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc::testing::{faults, good};

    #[test]
    fn a_rule_is_changed_or_switched_off_and_the_others_stay() {
        let text = "{\"lag\": false, \"late_tasks\": {\"above_seconds\": 30, \"severity\": \"critical\"}, \"misfires\": true}";
        let read = good(text, AlertRules::read);
        let wanted = AlertRules {
            lag: None,
            late_tasks: Some(LateRule {
                severity: AlertSeverity::Critical,
                above_seconds: 30,
            }),
            ..AlertRules::default()
        };
        assert_eq!(read, wanted);
        assert_eq!(good("{}", AlertRules::read), AlertRules::default());
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_would_be_right() {
        let text = "{\"lagg\": false, \"disk\": {\"free\": 5}, \"lag\": {\"checks\": 0}, \"outages\": null,
            \"restarts\": {\"severity\": \"fatal\"}}";
        let found = faults(text, AlertRules::read).join("\n");
        for part in [
            "`lagg`: unknown key; did you mean `lag`?",
            "`disk.free`: unknown key",
            "`lag.checks`: wanted a whole number from 1 to 100, found 0",
            "`outages`: wanted `false`, or an object",
            "`restarts.severity`: wanted one of `warning`, `critical`",
        ] {
            assert!(found.contains(part), "{part}\n{found}");
        }
    }
}
