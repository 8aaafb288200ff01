//! `delay show`: one task.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{one_line, print};
use crate::config::Config;
use crate::moment::shown;
use crate::store::task_orders::{TaskRow, status_word};

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The task, as `push` and `delay list` name it
    #[arg(value_name = "ID")]
    id: i64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn show(config: &Config, args: &ShowArgs) -> Result<ExitCode, Failure> {
    let reader = mini_system::migrated_store(config)?.reader();
    let rows = mini_system::in_system(async move { reader.task_rows(vec![args.id]).await });
    let rows = rows.map_err(|cause| Failure::failed(chain(&cause)))?;
    let Some(row) = rows.first() else {
        let what = format!("there is no delayed task {}", args.id);
        return Err(Failure::failed(what));
    };
    let text = match args.json {
        true => json(row)?,
        false => in_words(row),
    };
    print(&format!("{}\n", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// All columns, under the names that they have in the table.
#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    name: &'a str,
    exec_cmd: &'a str,
    params: &'a str,
    status: &'a str,
    result: &'a str,
    exec_time: i64,
    due_ms: i64,
    create_time: Option<&'a str>,
    update_time: Option<&'a str>,
    owner: &'a str,
    fence: i64,
    attempts: i32,
}

pub(super) fn json(row: &TaskRow) -> Result<String, Failure> {
    let status = state(row.status);
    let shown = Shown {
        id: row.id,
        name: &row.name,
        exec_cmd: &row.exec_cmd,
        params: &row.params,
        status: &status,
        result: &row.result,
        exec_time: row.due_ms.div_euclid(1000),
        due_ms: row.due_ms,
        create_time: row.create_time.as_deref(),
        update_time: row.update_time.as_deref(),
        owner: &row.owner,
        fence: row.fence,
        attempts: row.attempts,
    };
    serde_json::to_string(&shown).map_err(Failure::failed)
}

pub(super) fn state(status: i16) -> String {
    status_word(status).map_or_else(|| status.to_string(), str::to_owned)
}

fn in_words(row: &TaskRow) -> String {
    let state = match (state(row.status).as_str(), row.owner.as_str()) {
        ("running", "") => "running, in the Go program".to_owned(),
        ("running", owner) => format!("runs on `{owner}`, or is about to"),
        (state, _) => state.to_owned(),
    };
    let none = |text: &str| match text {
        "" => "none".to_owned(),
        text => text.to_owned(),
    };
    let lines = [
        ("task", row.id.to_string()),
        ("name", format!("{:?}", row.name)),
        ("command", format!("`{}`", row.exec_cmd)),
        ("params", format!("{:?}", row.params)),
        ("status", state),
        ("due", shown(row.due_ms)),
        ("failed attempts", row.attempts.to_string()),
        ("result", none(&one_line(&row.result))),
        ("claims", row.fence.to_string()),
        (
            "pushed",
            none(row.create_time.as_deref().unwrap_or_default()),
        ),
        (
            "changed",
            none(row.update_time.as_deref().unwrap_or_default()),
        ),
    ];
    let line = |(what, value): (&str, String)| format!("{what:<16} {value}\n");
    lines.map(line).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: i16, owner: &str) -> TaskRow {
        TaskRow {
            id: 7,
            name: "n".to_owned(),
            exec_cmd: "remind".to_owned(),
            params: "a\nb".to_owned(),
            status,
            result: r#"{"status":false,"data":"boom"}"#.to_owned(),
            due_ms: 1_769_844_600_123,
            create_time: Some("2026-01-31 08:00:00".to_owned()),
            update_time: None,
            owner: owner.to_owned(),
            fence: 3,
            attempts: 2,
        }
    }

    #[test]
    fn a_task_is_shown_with_all_its_columns() {
        let words = in_words(&row(1, ""));
        for line in [
            "task             7",
            "params           \"a\\nb\"",
            "status           waiting",
            "failed attempts  2",
            "result           {\"status\":false,\"data\":\"boom\"}",
            "claims           3",
            "changed          none",
        ] {
            assert!(words.lines().any(|shown| shown == line), "{line}: {words}");
        }
        let words = in_words(&row(2, "script1/ab"));
        assert!(
            words.contains("runs on `script1/ab`, or is about to"),
            "{words}"
        );
        assert!(in_words(&row(2, "")).contains("Go program"));
        let json: serde_json::Value = serde_json::from_str(&json(&row(9, "")).unwrap()).unwrap();
        assert_eq!(
            (&json["status"], &json["exec_time"]),
            (&"9".into(), &1_769_844_600.into())
        );
    }
}
