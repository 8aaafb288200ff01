//! `check`: whether the configuration is right, and when each cron entry fires next.

use std::process::ExitCode;

use chrono::Utc;

use super::failure::Failure;
use super::{App, plan, start};
use crate::config::{Config, CronEntry, Places};

/// How many fires are shown of each entry.
const SHOWN_FIRES: usize = 3;

/// Prints what is live and what is not.
pub(super) fn check<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<ExitCode, Failure> {
    let config = start::configuration(app, places)?;
    plan::supported(&config)?;
    println!(
        "all is well: environment {}, partition {}",
        config.environment, config.partition
    );
    for queue in config.queues.iter().filter(|entry| entry.live) {
        println!("queue `{}`: live, `{}`", queue.name, queue.exec_cmd);
    }
    for entry in config.crontab.iter().filter(|entry| entry.live) {
        println!("{}", fires(entry));
    }
    let not_live = config.why_not_live();
    let notes = config.notes.iter();
    for line in not_live.iter().chain(notes) {
        println!("{line}");
    }
    say_counts(&config);
    Ok(ExitCode::SUCCESS)
}

fn fires(entry: &CronEntry) -> String {
    if entry.drives_delay_queue {
        return format!(
            "cron `{}`: not needed, the delay queue runs by itself",
            entry.name
        );
    }
    let zone = entry.timezone;
    let first = entry.schedule.next_after(&Utc::now().with_timezone(&zone));
    let times: Vec<String> = std::iter::successors(first, |at| entry.schedule.next_after(at))
        .take(SHOWN_FIRES)
        .map(|at| at.format("%Y-%m-%d %H:%M:%S %Z").to_string())
        .collect();
    format!(
        "cron `{}`: live, `{}` in {zone}, next {}",
        entry.name,
        entry.expression,
        times.join(", ")
    )
}

fn say_counts(config: &Config) {
    let queues = config.queues.iter().filter(|entry| entry.live).count();
    let crontab = config.crontab.iter().filter(|entry| entry.live).count();
    println!(
        "{queues} of {} queues and {crontab} of {} cron entries are live",
        config.queues.len(),
        config.crontab.len()
    );
}
