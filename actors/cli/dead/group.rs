//! `dead group`: dead letters of the same error.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::filter::FilterArgs;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{one_line, print, print_error};
use crate::clock::now_ms;
use crate::moment::shown_in_line;
use crate::orders::dead::{Group, Size, among, groups};
use crate::store::Store;
use crate::store::rows::{SCANNED_LETTERS, Side};

#[derive(Debug, Args)]
pub(crate) struct GroupArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many groups, the largest
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    group: String,
    #[serde(rename = "letters")]
    dead_letters: u64,
    /// Whether there may be more dead letters of it than were read.
    at_least: bool,
    kind: &'a str,
    source: &'a str,
    name: &'a str,
    exec_cmd: &'a str,
    error: &'a str,
    first_ms: i64,
    last_ms: i64,
}

pub(super) fn group(store: &Arc<dyn Store>, args: GroupArgs) -> Result<ExitCode, Failure> {
    let GroupArgs {
        filter,
        limit,
        json,
    } = args;
    let (reader, filter) = (store.reader(), filter.filter());
    let side = Side::of(&filter);
    let scan =
        mini_system::in_system(async move { reader.dead_letter_scan(side, SCANNED_LETTERS).await });
    let mut scan = scan.map_err(|cause| Failure::failed(chain(&cause)))?;
    scan.dead_letters
        .retain(|dead_letter| filter.takes(dead_letter));
    let groups = groups(&scan.dead_letters, now_ms());
    let mut text = String::new();
    for (group, size) in groups.iter().take(limit) {
        text += &match json {
            true => serde_json::to_string(&Shown {
                group: group.name(),
                dead_letters: size.dead_letters,
                at_least: !scan.is_all,
                kind: &group.kind,
                source: &group.source,
                name: &group.entry,
                exec_cmd: &group.exec_cmd,
                error: &group.shape,
                first_ms: size.first_ms,
                last_ms: size.last_ms,
            })
            .map_err(Failure::failed)?,
            false => line(group, size, scan.is_all),
        };
        text.push('\n');
    }
    if groups.is_empty() && !json {
        text = "no dead letters\n".to_owned();
    }
    print(&text)?;
    let mut remarks = String::new();
    if !scan.is_all {
        remarks += &format!(
            "there are more dead letters; these are the groups{}\n",
            among(&scan, side)
        );
    }
    if groups.len() > limit && !json {
        remarks += &format!("there are {} groups; `--limit` is {limit}\n", groups.len());
    }
    print_error(&remarks);
    Ok(ExitCode::SUCCESS)
}

fn line(group: &Group, size: &Size, is_all: bool) -> String {
    let times = match size.dead_letters {
        1 => shown_in_line(size.last_ms),
        _ => format!(
            "{} to {}",
            shown_in_line(size.first_ms),
            shown_in_line(size.last_ms)
        ),
    };
    one_line(&format!(
        "{}  {}  {times}  {}: {}",
        group.name(),
        count(size.dead_letters, is_all),
        group.place(),
        group.shape
    ))
}

/// How many dead letters, or how many at least.
fn count(dead_letters: u64, is_all: bool) -> String {
    let at_least = if is_all { "" } else { "at least " };
    match dead_letters {
        1 => format!("{at_least}1 dead letter"),
        n => format!("{at_least}{n} dead letters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::DeadLetterHead;

    fn dead_letter(kind: &str, name: &str, error: &str, died_ms: i64) -> DeadLetterHead {
        DeadLetterHead {
            id: died_ms,
            kind: kind.to_owned(),
            source: "s".to_owned(),
            name: name.to_owned(),
            exec_cmd: "ship".to_owned(),
            partition: "script1".to_owned(),
            error: error.to_owned(),
            died_ms,
        }
    }

    #[test]
    fn a_partial_scan_is_shown_as_at_least() {
        let dead_letters = [
            dead_letter("queue", "orders", "no\n7", 0),
            dead_letter("queue", "orders", "no\n8", 1),
        ];
        let (group, size) = groups(&dead_letters, 1).remove(0);
        let all = line(&group, &size, true);
        assert!(
            all.contains("  2 dead letters  ") && all.ends_with(": no\\n#"),
            "{all}"
        );
        assert!(line(&group, &size, false).contains("  at least 2 dead letters  "));
    }
}
