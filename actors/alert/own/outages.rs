//! `outages`: a database, Redis server or Kafka cluster that is away, and a queue that gets nothing for a reason of its own:
//! a group that does not take this process, a right that is missing.
//!
//! Parts of the daemon that only wait for one of those are no alerts of their own.

use std::collections::BTreeMap;

use super::Condition;
use crate::state::view::{Away, OutageView};

/// Outages that have lasted for `after_seconds`.
pub(crate) fn conditions(
    outages: &[OutageView],
    after_seconds: u64,
    now_ms: i64,
) -> Vec<Condition> {
    let after_ms = i64::try_from(after_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let lasting = outages
        .iter()
        .filter(|outage| now_ms.saturating_sub(outage.since_ms) >= after_ms);
    // Several queues may need one server: the first to see it away speaks for all.
    let mut by_subject: BTreeMap<String, Condition> = BTreeMap::new();
    for outage in lasting {
        let (subject, summary) = match &outage.away {
            Away::Server(name) => (name.replace('`', ""), format!("{name}: outage")),
            Away::Queue(name) => (
                format!("queue {name}"),
                format!("queue `{name}`: no messages come from its source"),
            ),
            Away::Part => continue,
        };
        let condition = by_subject.entry(subject.clone()).or_insert(Condition {
            subject,
            since_ms: outage.since_ms,
            summary,
            text: format!("not available: {}", outage.cause),
            remedy: "this daemon goes on by itself once the cause is gone".to_owned(),
            ..Condition::default()
        });
        condition.since_ms = condition.since_ms.min(outage.since_ms);
    }
    by_subject.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(away: Away, since_ms: i64) -> OutageView {
        OutageView {
            away,
            what: "what".to_owned(),
            since_ms,
            cause: "refused".to_owned(),
        }
    }

    #[test]
    fn an_outage_counts_once_it_has_lasted() {
        let server = || Away::Server("redis `default`".to_owned());
        let outages = [outage(server(), 1_000)];
        assert_eq!(conditions(&outages, 30, 30_999), []);
        let found = conditions(&outages, 30, 31_000);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "redis default");
        assert_eq!(found[0].summary, "redis `default`: outage");
        assert_eq!(found[0].text, "not available: refused");
    }

    #[test]
    fn one_server_that_is_away_is_one_alert() {
        let kafka = || Away::Server("Kafka `default`".to_owned());
        let outages = [
            outage(kafka(), 2_000),
            outage(kafka(), 1_000),
            outage(Away::Part, 0),
            outage(Away::Queue("orders".to_owned()), 0),
        ];
        let found = conditions(&outages, 1, 60_000);
        let found: Vec<(&str, i64)> = found
            .iter()
            .map(|one| (one.subject.as_str(), one.since_ms))
            .collect();
        assert_eq!(found, [("Kafka default", 1_000), ("queue orders", 0)]);
    }
}
