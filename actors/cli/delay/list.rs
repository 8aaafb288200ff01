//! `delay list`: running and waiting tasks, or the tasks of one status.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::show::{json, state};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{one_line, print, print_error};
use crate::config::{Config, did_you_mean, did_you_mean_met};
use crate::moment::shown_in_line;
use crate::store::task_orders::{SEARCHED_TASKS, TaskName, TaskRow, TaskStatus};
use crate::store::{DbError, Reader};

/// Characters of a text that a line shows.
const SHOWN_CHARS: usize = 60;

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Of this status; none: those that run, then those that wait
    #[arg(long)]
    status: Option<Status>,
    /// Pushed under this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Of this handler
    #[arg(long, visible_alias = "exec-cmd", value_name = "CMD")]
    command: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// Not due yet, or due again after a failure; the next one first
    Waiting,
    /// Claimed by a daemon: running, or about to
    Running,
    /// The latest first
    Done,
    /// Failed for good, or cancelled; the latest first
    Failed,
}

impl ListArgs {
    fn statuses(&self) -> Vec<TaskStatus> {
        match self.status {
            None => vec![TaskStatus::Running, TaskStatus::Waiting],
            Some(Status::Waiting) => vec![TaskStatus::Waiting],
            Some(Status::Running) => vec![TaskStatus::Running],
            Some(Status::Done) => vec![TaskStatus::Done],
            Some(Status::Failed) => vec![TaskStatus::Failed],
        }
    }

    fn is_filtered(&self) -> bool {
        self.name.is_some() || self.command.is_some()
    }

    fn means(&self, task: &TaskName) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.name, &task.name) && is(&self.command, &task.exec_cmd)
    }
}

/// The tasks that were found.
#[derive(Default)]
struct Found {
    rows: Vec<TaskRow>,
    /// Names that other tasks have, for a mistyped one.
    names: BTreeSet<String>,
    commands: BTreeSet<String>,
    /// Of these statuses there are more rows than were read.
    cut_short: Vec<TaskStatus>,
    /// There are more than were asked for.
    more: bool,
}

pub(super) fn list(
    config: &Config,
    registered: &BTreeSet<String>,
    args: &ListArgs,
) -> Result<ExitCode, Failure> {
    let reader = mini_system::migrated_store(config)?.reader();
    let found = mini_system::in_system(async move { find(reader.as_ref(), args).await });
    let found = found.map_err(|cause| Failure::failed(chain(&cause)))?;
    let mut text = String::new();
    for row in &found.rows {
        text += &match args.json {
            true => json(row)?,
            false => line(row),
        };
        text.push('\n');
    }
    if found.rows.is_empty() && !args.json {
        text = "no such tasks\n".to_owned();
    }
    print(&text)?;
    print_error(&remarks(args, &found, registered));
    Ok(ExitCode::SUCCESS)
}

/// The table has an index by status and time, and none by names: those are searched for among the first rows alone, so
/// that the answer takes no longer with ten million rows.
async fn find(reader: &dyn Reader, args: &ListArgs) -> Result<Found, DbError> {
    let mut found = Found::default();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    for status in args.statuses() {
        let room = limit.saturating_sub(found.rows.len());
        let looked_at = match args.is_filtered() {
            true => SEARCHED_TASKS,
            false => u32::try_from(room).unwrap_or(u32::MAX).saturating_add(1),
        };
        let names = reader.task_names(status, looked_at).await?;
        if args.is_filtered() && names.len() >= usize::try_from(looked_at).unwrap_or(usize::MAX) {
            found.cut_short.push(status);
        }
        let mut ids: Vec<i64> = Vec::new();
        for task in names {
            if args.means(&task) {
                ids.push(task.id);
            } else {
                found.names.insert(task.name);
                found.commands.insert(task.exec_cmd);
            }
        }
        found.more |= ids.len() > room;
        ids.truncate(room);
        let mut rows = reader.task_rows(ids).await?;
        // Its row may have changed since it was read.
        rows.retain(|row| row.status == status.column());
        match status {
            TaskStatus::Waiting | TaskStatus::Running => {
                rows.sort_by_key(|row| (row.due_ms, row.id));
            }
            TaskStatus::Done | TaskStatus::Failed => {
                rows.sort_by_key(|row| Reverse((row.due_ms, row.id)));
            }
        }
        found.rows.extend(rows);
    }
    Ok(found)
}

/// What one should know of the list, on standard error: the list may be read by a program.
fn remarks(args: &ListArgs, found: &Found, registered: &BTreeSet<String>) -> String {
    let mut remarks = String::new();
    for status in &found.cut_short {
        let status = state(status.column());
        remarks += &match status.as_str() {
            "done" | "failed" => {
                format!("only the latest {SEARCHED_TASKS} of status {status} were searched\n")
            }
            _ => format!("only the next {SEARCHED_TASKS} of status {status} were searched\n"),
        };
    }
    if found.more && !args.json {
        remarks += &format!("there are more; `--limit` is {}\n", args.limit);
    }
    if !found.rows.is_empty() {
        return remarks;
    }
    if let Some(name) = args
        .name
        .as_ref()
        .filter(|name| !found.names.contains(*name))
    {
        let hint = did_you_mean_met(name, &found.names);
        remarks += &format!("none of them has the name `{name}`{hint}\n");
    }
    if let Some(command) = &args.command {
        let known: BTreeSet<String> = registered.union(&found.commands).cloned().collect();
        if !known.contains(command) {
            let hint = did_you_mean(command, &known);
            remarks += &format!("no delayed task `{command}` is registered{hint}\n");
        }
    }
    remarks
}

fn line(row: &TaskRow) -> String {
    let cut = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
    let mut line = format!(
        "{}  {}  {} `{}` (`{}`)",
        row.id,
        shown_in_line(row.due_ms),
        state(row.status),
        row.name,
        row.exec_cmd
    );
    if !row.owner.is_empty() {
        line += &format!(" on `{}`", row.owner);
    }
    if row.attempts > 0 {
        line += &format!(", {} failed", attempts(row.attempts));
    }
    line += &format!(": {:?}", cut(&row.params));
    if !row.result.is_empty() {
        line += &format!(" -> {}", cut(&row.result));
    }
    one_line(&line)
}

pub(super) fn attempts(n: i32) -> String {
    match n {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}
