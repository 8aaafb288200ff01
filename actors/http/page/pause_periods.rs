//! The last pauses of a cron entry, its own and those of everything: from when to when, and by whom.

use std::time::Duration;

use super::cron_entry::in_time;
use super::order::Order;
use super::visit::Visit;
use crate::orders::PauseKind;
use crate::store::browse::{self, AuditAsked, AuditLine, Next, Reach};

/// Orders that are read, the newest.
const MOST_ORDERS: u32 = 20;
/// How many rows are searched for them: fewer than for a page of orders.
const REACH: Reach = Reach {
    page: MOST_ORDERS,
    step: 2000,
    time: Duration::from_millis(40),
};

/// See the module's header.
#[derive(Default)]
pub(super) struct Pauses {
    /// The newest first.
    pub(super) periods: Vec<ShownPeriod>,
    /// There may be older ones: where those are.
    pub(super) older: Option<String>,
    /// Why they are not known.
    pub(super) unknown: Option<String>,
}

/// A pause, for the page.
pub(super) struct ShownPeriod {
    pub(super) what: String,
    pub(super) begin: Option<ShownOrder>,
    pub(super) end: Option<ShownOrder>,
    /// What ends it, while it holds.
    pub(super) resume: Option<Order>,
}

/// Its begin, or its end.
pub(super) struct ShownOrder {
    pub(super) at_ms: i64,
    pub(super) who: String,
    /// Its row of the audit.
    pub(super) link: String,
}

/// A pause. One whose begin is older than the orders that were read has none.
#[derive(Debug, PartialEq, Eq)]
struct Period<'a> {
    begin: Option<&'a AuditLine>,
    end: Option<&'a AuditLine>,
}

/// `orders`: those that changed something, the newest first. The periods too, by their begin.
fn periods(orders: &[AuditLine]) -> Vec<Period<'_>> {
    let mut periods: Vec<Period<'_>> = Vec::new();
    for order in orders.iter().rev() {
        let goes_on = |period: &&mut Period<'_>| {
            let begun = period
                .begin
                .is_some_and(|begin| begin.target == order.target);
            begun && period.end.is_none()
        };
        let open = periods.iter_mut().find(goes_on);
        match (order.action.as_str(), open) {
            ("resume", Some(open)) => open.end = Some(order),
            ("resume", None) => periods.push(Period {
                begin: None,
                end: Some(order),
            }),
            (_, Some(_)) => {}
            (_, None) => periods.push(Period {
                begin: Some(order),
                end: None,
            }),
        }
    }
    periods.reverse();
    periods
}

impl Visit {
    pub(super) async fn pauses_of_entry(&self, name: &str) -> Pauses {
        let targets = [PauseKind::Cron.describe(name), PauseKind::All.describe("")];
        let keeps = |line: &AuditLine| {
            let is_pause = ["pause", "resume"].contains(&line.action.as_str());
            is_pause && line.result == "done" && targets.contains(&line.target)
        };
        let asked = AuditAsked::of(&self.config.state.identity.environment);
        let reader = self.config.db.reader();
        let found = match in_time(browse::audits(reader, asked, keeps, REACH)).await {
            Ok(found) => found,
            Err(cause) => {
                return Pauses {
                    unknown: Some(self.t.pauses_unknown(cause)),
                    ..Pauses::default()
                };
            }
        };
        let periods = periods(&found.rows);
        let shown = |period: &Period<'_>| self.shown_period(period, name);
        Pauses {
            periods: periods.iter().filter_map(shown).collect(),
            older: (found.next != Next::End)
                .then(|| self.link("/audit", &[("action", "pause"), ("q", &targets[0])])),
            unknown: None,
        }
    }

    fn shown_period(&self, period: &Period<'_>, name: &str) -> Option<ShownPeriod> {
        let target = &period.begin.or(period.end)?.target;
        let order = |line: &AuditLine| ShownOrder {
            at_ms: line.at_ms,
            who: line.ordered_by.clone(),
            link: self.audit_link(line.id),
        };
        Some(ShownPeriod {
            what: match *target == PauseKind::All.describe("") {
                true => self.t.everything().to_owned(),
                false => self.t.cron_named(name),
            },
            begin: period.begin.map(order),
            end: period.end.map(order),
            resume: match period.end {
                None => self.resume_order_of(target, name),
                Some(_) => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: i64, action: &str, target: &str) -> AuditLine {
        AuditLine {
            id,
            at_ms: id * 1000,
            ordered_by: "ann".to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            result: "done".to_owned(),
        }
    }

    /// The rows of begin and end.
    fn ids(orders: &[AuditLine]) -> Vec<(Option<i64>, Option<i64>)> {
        let id = |line: Option<&AuditLine>| line.map(|line| line.id);
        let each = periods(orders).into_iter();
        each.map(|period| (id(period.begin), id(period.end)))
            .collect()
    }

    #[test]
    fn an_order_to_resume_ends_the_pause_of_the_same_thing() {
        let (own, all) = ("cron `report`", "everything");
        let orders = [
            order(7, "pause", own),
            order(6, "resume", own),
            order(5, "resume", all),
            order(4, "pause", own),
            order(3, "pause", own),
            order(2, "pause", all),
            // Its begin is older than what was read.
            order(1, "resume", own),
        ];
        assert_eq!(
            ids(&orders),
            [
                (Some(7), None),
                (Some(3), Some(6)),
                (Some(2), Some(5)),
                (None, Some(1))
            ]
        );
        assert_eq!(ids(&[]), []);
    }
}
