//! Runs of a cron entry as rows of a list: how they ended, what started them, and what they left.

use serde_json::Value;

use super::cron_entry::in_time;
use super::format::UNKNOWN;
use super::language::Language;
use super::payload::in_line;
use super::visit::Visit;
use crate::clock::millis;
use crate::state::view::FailureView;
use crate::store::daemon_orders::{CronRun, OrderKind, RunPlace, RunsAsked};

/// Runs that are shown.
const MOST_RUNS: i64 = 50;

/// A run, with what other tables have of it.
pub(super) struct KnownRun {
    pub(super) run: CronRun,
    pub(super) ordered_by: Option<String>,
    /// Of an entry with `is_log`; empty while it runs.
    pub(super) result: Option<String>,
}

/// What started a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    Schedule,
    /// The schedule, later than `misfire_grace`: `misfire` has it made up for.
    MadeUp,
    /// None: the order is not kept any more.
    Order(Option<String>),
}

/// A run of the table.
pub(super) struct RunRow {
    pub(super) run: CronRun,
    pub(super) link: String,
    pub(super) status: &'static str,
    pub(super) is_good: bool,
    pub(super) is_bad: bool,
    pub(super) duration: String,
    pub(super) start: Start,
    pub(super) result: String,
}

impl Visit {
    /// The newest runs of an entry first.
    pub(super) async fn runs(&self, key: &str) -> Result<Vec<KnownRun>, String> {
        let reader = self.config.db.reader();
        let asked = RunsAsked {
            partition: self.config.state.identity.partition.clone(),
            // No entry has an empty name: those of this key alone.
            of: Some((String::new(), vec![key.to_owned()])),
            before: RunPlace::START,
            limit: MOST_RUNS,
        };
        in_time(async {
            let runs = reader.cron_runs(asked).await?;
            let ordered = runs.iter().filter(|run| run.is_ordered());
            let orders = match ordered.map(|run| run.uk.clone()).collect::<Vec<_>>() {
                uks if uks.is_empty() => Vec::new(),
                uks => reader.run_orders(uks).await?,
            };
            let uks = runs.iter().map(|run| run.uk.clone()).collect();
            let mut results = reader.run_results(uks).await?;
            let by = |run: &CronRun| {
                let mut of_run = orders.iter().filter(|order| order.uk == run.uk);
                let order = of_run.find(|order| order.kind == OrderKind::Run);
                order.map(|order| order.ordered_by.clone())
            };
            let runs = runs.into_iter().map(|run| KnownRun {
                ordered_by: by(&run),
                result: results.remove(&run.uk),
                run,
            });
            Ok(runs.collect())
        })
        .await
    }

    /// `failures`: those that this daemon saw, of entries whose results no table keeps.
    pub(super) fn run_row(&self, known: KnownRun, failures: &[FailureView], now: i64) -> RunRow {
        let (t, run) = (self.t, known.run);
        let took = run.ended_ms.unwrap_or(now) - run.started_ms;
        let result = known.result.or_else(|| seen(failures, &run.uk));
        RunRow {
            link: self.link("/run", &[("id", &run.uk)]),
            status: t.run_status(&run.status),
            is_good: run.status == "success",
            is_bad: is_bad(&run.status),
            duration: match run.status.as_str() {
                "skipped" => UNKNOWN.to_owned(),
                _ => t.span(took),
            },
            start: self.start_of(&run, known.ordered_by),
            result: result
                .and_then(|result| said(&result))
                .map_or_else(|| UNKNOWN.to_owned(), |text| in_line(text.as_bytes())),
            run,
        }
    }

    /// A fire begins within `misfire_grace`; one that begins later was missed, and runs because `misfire` says so.
    pub(super) fn start_of(&self, run: &CronRun, ordered_by: Option<String>) -> Start {
        let grace = millis(self.config.files.config().settings.misfire_grace);
        if run.is_ordered() {
            Start::Order(ordered_by)
        } else if run.started_ms - run.scheduled_ms > grace && run.status != "skipped" {
            Start::MadeUp
        } else {
            Start::Schedule
        }
    }
}

impl Start {
    pub(super) fn text(&self, t: Language) -> String {
        match self {
            Self::Schedule => t.by_schedule().to_owned(),
            Self::MadeUp => t.by_made_up().to_owned(),
            Self::Order(Some(who)) => t.by_order_of(who),
            Self::Order(None) => t.by_an_order().to_owned(),
        }
    }
}

/// Whether somebody should look at a run that ended so.
pub(super) fn is_bad(status: &str) -> bool {
    ["failed", "timeout", "killed", "lost"].contains(&status)
}

/// The result of a run that ended badly, as this daemon saw it: behind the status there.
pub(super) fn seen(failures: &[FailureView], run: &str) -> Option<String> {
    let found = failures.iter().find(|failure| failure.id == run)?;
    let of_status = found.error.split_once(": ");
    let result = of_status.filter(|(status, _)| is_bad(status));
    Some(
        result
            .map_or(&*found.error, |(_, result)| result)
            .to_owned(),
    )
}

/// What a run said, for people: the `data` of `{"status":…,"data":…}`; text that is no such result as it is. None where it
/// said nothing.
pub(super) fn said(result: &str) -> Option<String> {
    let parsed = serde_json::from_str::<Value>(result).ok();
    match parsed.as_ref().and_then(|result| result.get("data")) {
        Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(data) => Some(data.to_string()),
        None => Some(result.to_owned()),
    }
    .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn a_result_is_shown_without_its_envelope() {
        for (result, shown) in [
            ("", None),
            (r#"{"status":0,"data":null}"#, None),
            (r#"{"status":0,"data":""}"#, None),
            (r#"{"status":0,"data":"12 sent"}"#, Some("12 sent")),
            (r#"{"status":0,"data":{"sent":12}}"#, Some(r#"{"sent":12}"#)),
            (
                r#"{"status":1,"data":"killed by signal 9; its output is in `x`"}"#,
                Some("killed by signal 9; its output is in `x`"),
            ),
            // Of another program, or cut by a narrow column.
            (r#"{"status":1,"da"#, Some(r#"{"status":1,"da"#)),
            ("{}", Some("{}")),
        ] {
            assert_eq!(said(result).as_deref(), shown, "{result}");
        }
    }
}
