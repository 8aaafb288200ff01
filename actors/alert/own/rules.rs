//! All rules that are switched on, one after the other: what one does not know, or fails at, is no other's business.

use super::events::{Happened, Reported};
use super::sight::Sight;
use super::{Condition, Rule};
use super::{cron_runs, dead_letters, disk, lag, late_tasks, misfires, outages, restarts};
use crate::alert::Severity;
use crate::config::{AlertRules, AlertSeverity};
use crate::task::caught_call;

/// What one rule found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) severity: Severity,
    pub(super) findings: Findings,
    /// Its code failed; nothing is known then.
    pub(super) panic: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) conditions: Vec<Condition>,
    pub(super) unknown: Unknown,
}

/// What is not known now: it stays as it was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Unknown {
    #[default]
    Nothing,
    All,
    /// These subjects.
    Of(Vec<String>),
}

impl Unknown {
    pub(super) fn covers(&self, subject: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Of(subjects) => subjects.iter().any(|unknown| unknown == subject),
        }
    }
}

impl From<Vec<Condition>> for Findings {
    fn from(conditions: Vec<Condition>) -> Self {
        Self {
            conditions,
            unknown: Unknown::Nothing,
        }
    }
}

impl From<AlertSeverity> for Severity {
    fn from(severity: AlertSeverity) -> Self {
        match severity {
            AlertSeverity::Warning => Self::Warning,
            AlertSeverity::Critical => Self::Critical,
        }
    }
}

/// Looks with each rule that is on.
pub(super) fn all(rules: &AlertRules, sight: &Sight, reported: &Reported) -> Vec<Found> {
    let on = Rule::ALL
        .into_iter()
        .filter_map(|rule| Some((rule, severity(rule, rules)?)));
    let found = on.map(|(rule, severity)| {
        let (findings, panic) = match caught_call(|| one(rule, rules, sight, reported)) {
            Ok(findings) => (findings.unwrap_or_default(), None),
            Err(panic) => {
                let unknown = Unknown::All;
                let conditions = Vec::new();
                let findings = Findings {
                    conditions,
                    unknown,
                };
                (findings, Some(panic))
            }
        };
        Found {
            rule,
            severity: severity.into(),
            findings,
            panic,
        }
    });
    found.collect()
}

/// None where it is switched off.
fn severity(rule: Rule, rules: &AlertRules) -> Option<AlertSeverity> {
    match rule {
        Rule::Lag => rules.lag.map(|rule| rule.severity),
        Rule::DeadLetters => rules.dead_letters.map(|rule| rule.severity),
        Rule::CronRuns => rules.cron_runs.map(|rule| rule.severity),
        Rule::Misfires => rules.misfires.map(|rule| rule.severity),
        Rule::Outages => rules.outages.map(|rule| rule.severity),
        Rule::LateTasks => rules.late_tasks.map(|rule| rule.severity),
        Rule::Restarts => rules.restarts.map(|rule| rule.severity),
        Rule::Disk => rules.disk.map(|rule| rule.severity),
    }
}

fn one(rule: Rule, rules: &AlertRules, sight: &Sight, reported: &Reported) -> Option<Findings> {
    let now_ms = sight.now_ms;
    #[cfg(test)]
    crate::task::panic_point("alert rule", &format!("{} at {now_ms}", rule.name()));
    let found = match rule {
        Rule::Lag => lag::conditions(&sight.lags, rules.lag?.checks, now_ms).into(),
        Rule::DeadLetters => {
            let kept = rules.dead_letters?.resolve_after_seconds;
            dead_letters::conditions(&sight.dead_letters, reported, kept, now_ms).into()
        }
        Rule::CronRuns => cron_runs::with_news(&sight.cron, reported).into(),
        Rule::Misfires => {
            let kept = rules.misfires?.resolve_after_seconds;
            misfires::conditions(&sight.cron, reported, kept, now_ms).into()
        }
        Rule::Outages => {
            outages::conditions(&sight.outages, rules.outages?.after_seconds, now_ms).into()
        }
        Rule::LateTasks => match &sight.delay {
            Some(delay) if late_tasks::is_known(Some(delay), now_ms) => {
                let late = late_tasks::condition(delay, rules.late_tasks?.above_seconds, now_ms);
                late.into_iter().collect::<Vec<_>>().into()
            }
            _ => Findings {
                conditions: Vec::new(),
                unknown: Unknown::All,
            },
        },
        Rule::Restarts => {
            let rule = rules.restarts?;
            restarts::conditions(&sight.deaths, rule.times, rule.within_seconds, now_ms).into()
        }
        Rule::Disk => {
            let rule = rules.disk?;
            disk::findings(&sight.disks, rule.free_percent, rule.free_gb)
        }
    };
    Some(found)
}

/// The events of a rule: after its word was sent, they count as reported.
pub(super) fn happened(rule: Rule, sight: &Sight) -> Vec<Happened> {
    match rule {
        Rule::DeadLetters => dead_letters::happened(&sight.dead_letters),
        Rule::CronRuns => cron_runs::happened(&sight.cron),
        Rule::Misfires => misfires::happened(&sight.cron),
        _ => Vec::new(),
    }
}
