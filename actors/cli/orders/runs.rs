//! `cron runs`: the runs of the partition's entries, and the orders of runs that no daemon has begun.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::run::unknown;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::clock::now_ms;
use crate::config::Config;
use crate::cron::LiveEntry;
use crate::moment::shown_in_line;
use crate::store::daemon_orders::{CronRun, OrderKind, RunOrder, RunsAsked};
use crate::store::{DbError, Reader};

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsArgs {
    /// Only those of the entries of this `name`
    name: Option<String>,
    /// The newest so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A run, or the order of one, as it is listed.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    run: String,
    name: String,
    /// Ended as this word says; or `ordered`, `starting`, `running`, `not run`.
    status: String,
    /// Of an order without a run: when it was ordered.
    scheduled_ms: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    duration_ms: Option<i64>,
    pid: Option<i32>,
    /// Whoever ordered the run; none of a fire of its expression.
    ordered_by: Option<String>,
    params: Option<String>,
    /// Whoever ordered its end.
    end_ordered_by: Option<String>,
    /// Why an order has no run.
    why: Option<String>,
}

pub(super) fn runs(config: &Config, args: &RunsArgs) -> Result<ExitCode, Failure> {
    let asked = asked(config, args.name.as_deref(), i64::from(args.limit))?;
    let reader = mini_system::migrated_store(config)?.reader();
    let environment = config.environment.name();
    let listed = mini_system::in_system(async {
        listed(reader.as_ref(), environment, asked, now_ms()).await
    });
    let listed = listed.map_err(|cause| Failure::failed(chain(&cause)))?;
    let mut text = String::new();
    for run in &listed {
        text += &match args.json {
            true => serde_json::to_string(run).map_err(Failure::failed)?,
            false => line(run),
        };
        text.push('\n');
    }
    if listed.is_empty() && !args.json {
        text = "no runs\n".to_owned();
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Which runs are meant; a name that no entry has is refused.
pub(super) fn asked(config: &Config, name: Option<&str>, limit: i64) -> Result<RunsAsked, Failure> {
    let of = match name {
        None => None,
        Some(name) => {
            let named = config.crontab.iter().filter(|entry| entry.name == name);
            let keys: Vec<String> = named
                .map(|entry| LiveEntry::new(entry.clone()).key)
                .collect();
            if keys.is_empty() {
                return Err(Failure::misused(unknown(config, name)));
            }
            Some((name.to_owned(), keys))
        }
    };
    Ok(RunsAsked {
        partition: config.partition.to_string(),
        of,
        limit,
    })
}

async fn listed(
    reader: &dyn Reader,
    environment: &str,
    asked: RunsAsked,
    now: i64,
) -> Result<Vec<Listed>, DbError> {
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let unmade = reader.unmade_runs(environment, asked.clone()).await?;
    let runs = reader.cron_runs(asked).await?;
    let uks = runs.iter().map(|run| run.uk.clone()).collect();
    let mut orders: BTreeMap<String, Vec<RunOrder>> = BTreeMap::new();
    for order in reader.run_orders(uks).await? {
        orders.entry(order.uk.clone()).or_default().push(order);
    }
    let none = Vec::new();
    let runs = runs.into_iter().map(|run| {
        let orders = orders.get(&run.uk).unwrap_or(&none);
        of_run(run, orders, now)
    });
    let mut all: Vec<Listed> = unmade.into_iter().map(of_order).chain(runs).collect();
    all.sort_by_key(|run| std::cmp::Reverse(run.scheduled_ms));
    all.truncate(limit);
    Ok(all)
}

fn of_run(run: CronRun, orders: &[RunOrder], now: i64) -> Listed {
    let of_kind = |kind| orders.iter().find(|order| order.kind == kind);
    let made_by = of_kind(OrderKind::Run).filter(|_| run.is_ordered());
    Listed {
        duration_ms: Some((run.ended_ms.unwrap_or(now) - run.started_ms).max(0)),
        ordered_by: made_by.map(|order| order.ordered_by.clone()),
        params: made_by.and_then(|order| order.params.clone()),
        end_ordered_by: of_kind(OrderKind::End).map(|order| order.ordered_by.clone()),
        why: None,
        pid: (run.pid > 0).then_some(run.pid),
        started_ms: Some(run.started_ms),
        ended_ms: run.ended_ms,
        scheduled_ms: run.scheduled_ms,
        status: run.status,
        name: run.name,
        run: run.uk,
    }
}

fn of_order(order: RunOrder) -> Listed {
    let (status, why) = match order.is_waiting {
        true => ("ordered", None),
        false => ("not run", Some(order.result)),
    };
    Listed {
        run: order.uk,
        name: order.name,
        status: status.to_owned(),
        scheduled_ms: order.ordered_ms,
        started_ms: None,
        ended_ms: None,
        duration_ms: None,
        pid: None,
        ordered_by: Some(order.ordered_by),
        params: order.params,
        end_ordered_by: None,
        why,
    }
}

fn line(run: &Listed) -> String {
    let at = shown_in_line(run.scheduled_ms);
    let mut line = format!("{at}  {}  `{}`  {}", run.run, run.name, run.status);
    if let Some(ms) = run.duration_ms {
        line += &format!("  {}.{:01} s", ms / 1000, ms % 1000 / 100);
    }
    if let Some(pid) = run.pid.filter(|_| run.ended_ms.is_none()) {
        line += &format!("  pid {pid}");
    }
    if let Some(by) = &run.ordered_by {
        line += &format!("  by order of {by}");
    }
    if let Some(by) = &run.end_ordered_by {
        line += &format!("  its end was ordered by {by}");
    }
    if let Some(why) = &run.why {
        line += &format!("  {why}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(kind: OrderKind, is_waiting: bool) -> RunOrder {
        RunOrder {
            id: 1,
            kind,
            name: "report".to_owned(),
            uk: "u-1".to_owned(),
            params: None,
            ordered_by: "ann@web-1".to_owned(),
            ordered_ms: 5,
            is_waiting,
            result: "expired: late".to_owned(),
        }
    }

    fn run(scheduled_ms: i64, ended_ms: Option<i64>) -> CronRun {
        CronRun {
            uk: "u-1".to_owned(),
            partition: "script1".to_owned(),
            entry: "e".to_owned(),
            name: "report".to_owned(),
            machine: String::new(),
            scheduled_ms,
            started_ms: scheduled_ms + 20,
            ended_ms,
            status: "success".to_owned(),
            pid: 7,
        }
    }

    #[test]
    fn a_line_says_how_a_run_went_and_who_ordered_it() {
        let orders = [order(OrderKind::Run, false), order(OrderKind::End, false)];
        for (run, parts, not) in [
            (
                of_run(run(1000, Some(2520)), &[], 0),
                &["u-1  `report`  success  1.5 s"][..],
                "order",
            ),
            (
                of_run(run(1001, None), &orders[..1], 3021),
                &["2.0 s  pid 7  by order of ann@web-1"],
                "end was",
            ),
            (
                of_run(run(1000, Some(2520)), &orders[1..], 0),
                &["its end was ordered by ann@web-1"],
                "pid",
            ),
            (
                of_order(order(OrderKind::Run, true)),
                &["`report`  ordered  by order of ann@web-1"],
                "expired",
            ),
            (
                of_order(order(OrderKind::Run, false)),
                &["not run", "expired: late"],
                "pid",
            ),
        ] {
            let line = line(&run);
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
            assert!(!line.contains(not), "{line}");
        }
    }
}
