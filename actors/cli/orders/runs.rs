//! `cron runs`: the runs of the partition's entries, and the orders of runs that no daemon has begun.

use std::process::ExitCode;

use clap::Args;

use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::clock::now_ms;
use crate::config::Config;
use crate::moment::shown_in_line;
use crate::operations::cron_runs::{self, ListedRun};

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsArgs {
    /// Only those of the entries of this `name`
    name: Option<String>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn runs(config: &Config, args: &RunsArgs) -> Result<ExitCode, Failure> {
    let asked = cron_runs::asked(config, args.name.as_deref(), i64::from(args.limit))
        .map_err(Failure::refused)?;
    let reader = mini_system::migrated_store(config)?.reader();
    let environment = config.environment.name();
    let listed = mini_system::in_system(async {
        cron_runs::list(reader.as_ref(), environment, asked, now_ms()).await
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

fn line(run: &ListedRun) -> String {
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
    use crate::store::daemon_orders::{CronRun, OrderKind, RunOrder};

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
            id: 1,
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
                ListedRun::of_run(run(1000, Some(2520)), &[], 0),
                &["u-1  `report`  success  1.5 s"][..],
                "order",
            ),
            (
                ListedRun::of_run(run(1001, None), &orders[..1], 3021),
                &["2.0 s  pid 7  by order of ann@web-1"],
                "end was",
            ),
            (
                ListedRun::of_run(run(1000, Some(2520)), &orders[1..], 0),
                &["its end was ordered by ann@web-1"],
                "pid",
            ),
            (
                ListedRun::of_order(order(OrderKind::Run, true)),
                &["`report`  ordered  by order of ann@web-1"],
                "expired",
            ),
            (
                ListedRun::of_order(order(OrderKind::Run, false)),
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
