//! `queue list`, `cron list`: the entries, and which are paused.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{held, pause_of, since};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::Config;
use crate::orders::PauseKind;
use crate::store::rows::PauseRow;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// An entry as it is listed.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// What it reads, or when it fires.
    pub(super) what: String,
    pub(super) exec_cmd: String,
    /// Whether it is live in this environment.
    pub(super) live: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    paused: bool,
    paused_since_ms: Option<i64>,
    paused_by: Option<&'a str>,
}

pub(super) fn list(
    config: &Config,
    kind: PauseKind,
    entries: Vec<Entry>,
    args: &ListArgs,
) -> Result<ExitCode, Failure> {
    let reader = mini_system::migrated_store(config)?.reader();
    let environment = config.environment.name();
    let held = mini_system::in_system(async { held(reader.as_ref(), environment).await });
    let held = held.map_err(|cause| Failure::failed(chain(&cause)))?;
    let mut text = String::new();
    for entry in &entries {
        let pause = pause_of(kind, &entry.name, &held);
        text += &match args.json {
            true => serde_json::to_string(&Listed {
                entry,
                paused: pause.is_some(),
                paused_since_ms: pause.map(|row| row.since_ms),
                paused_by: pause.map(|row| row.ordered_by.as_str()),
            })
            .map_err(Failure::failed)?,
            false => line(entry, pause, environment),
        };
        text.push('\n');
    }
    if entries.is_empty() && !args.json {
        text = format!("partition {} has no entries\n", config.partition);
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &Entry, pause: Option<&PauseRow>, environment: &str) -> String {
    let state = match (pause, entry.live) {
        (_, false) => format!("not live in {environment}"),
        (None, true) => "live".to_owned(),
        (Some(row), true) if row.kind == PauseKind::All.column() => {
            format!("paused with everything {}", since(row))
        }
        (Some(row), true) => format!("paused {}", since(row)),
    };
    format!(
        "`{}`, {}, `{}`: {state}",
        entry.name, entry.what, entry.exec_cmd
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whether_the_entry_works() {
        let entry = |live| Entry {
            name: "orders".to_owned(),
            what: "table `orders`".to_owned(),
            exec_cmd: "ship".to_owned(),
            live,
        };
        let row = |kind: &str| PauseRow {
            kind: kind.to_owned(),
            name: if kind == "all" { "" } else { "orders" }.to_owned(),
            since_ms: 0,
            until_ms: None,
            ordered_by: "ann".to_owned(),
        };
        for (live, held, text) in [
            (true, vec![], "`orders`, table `orders`, `ship`: live"),
            (false, vec![row("queue")], "not live in dev"),
            (true, vec![row("all"), row("queue")], "`ship`: paused since"),
            (true, vec![row("all")], "paused with everything since"),
            (true, vec![row("cron")], "`ship`: live"),
        ] {
            let pause = pause_of(PauseKind::Queue, "orders", &held);
            let line = line(&entry(live), pause, "dev");
            assert!(line.contains(text), "{line}");
        }
    }
}
