//! `delay cancel`, `delay run`: orders about single tasks.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;

use super::list::attempts;
use crate::bootstrap::failure::{FAILED, Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::orders::{held, orderer, own, since};
use crate::cli::print::{print, print_error};
use crate::clock::now_ms;
use crate::config::{Config, parse_duration};
use crate::db::Db;
use crate::operations::task_orders::{self, When, due};
use crate::orders::PauseKind;
use crate::store::DbError;
use crate::store::rows::PauseRow;
use crate::store::task_orders::{TaskOrdered, TaskWish};

/// Orders that are under way at once: they share commits.
const AT_ONCE: usize = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct CancelArgs {
    /// The tasks, as `push` and `delay list` name them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i64>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// The tasks, as `push` and `delay list` name them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i64>,
    /// Then, and not now: a time (`2026-01-31`, `'2026-01-31 08:30'`, RFC 3339), or unix seconds
    #[arg(long, value_name = "TIME", conflicts_with = "wait")]
    at: Option<String>,
    /// After this time, and not now: `90s`, `2h`
    #[arg(long = "in", id = "wait", value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
}

pub(super) fn cancel(config: &Config, args: CancelArgs) -> Result<ExitCode, Failure> {
    give(config, args.ids, &TaskWish::Cancel, "is cancelled")
}

pub(super) fn run(config: &Config, args: RunArgs) -> Result<ExitCode, Failure> {
    let when = match (&args.at, args.wait) {
        (Some(text), _) => When::At(text),
        (None, Some(wait)) => When::In(wait),
        (None, None) => When::Now,
    };
    let (wish, when) = due(when, "--at", now_ms()).map_err(Failure::misused)?;
    give(config, args.ids, &wish, &format!("is due {when}"))
}

fn give(
    config: &Config,
    mut ids: Vec<i64>,
    wish: &TaskWish,
    done: &str,
) -> Result<ExitCode, Failure> {
    ids.sort_unstable();
    ids.dedup();
    let store = mini_system::migrated_store(config)?;
    let environment = config.environment.name();
    let mut report = Report::default();
    let given = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        give_all(&db, environment, &ids, wish, done, &mut report).await?;
        let rests = match wish {
            TaskWish::Due { .. } if !report.done.is_empty() => {
                let held = held(db.reader(), environment).await?;
                rests(&held)
            }
            _ => None,
        };
        Ok::<_, DbError>(rests)
    });
    let rests = match given {
        Ok(rests) => rests.unwrap_or_default(),
        Err(cause) => {
            report.refused += &format!("then: {}\n", chain(&cause));
            String::new()
        }
    };
    print(&(report.done + &rests))?;
    print_error(&report.refused);
    Ok(match report.refused.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

#[derive(Default)]
struct Report {
    done: String,
    refused: String,
}

/// Each order is a transaction of its own, or shares one whole: a command that is killed has done some of them and not
/// others, and none half.
async fn give_all(
    db: &Db,
    environment: &str,
    ids: &[i64],
    wish: &TaskWish,
    done: &str,
    report: &mut Report,
) -> Result<(), DbError> {
    for portion in ids.chunks(AT_ONCE) {
        let orders = portion
            .iter()
            .map(|id| task_orders::give(db, environment, *id, wish.clone(), orderer()));
        for (id, ordered) in portion.iter().zip(join_all(orders).await) {
            match ordered? {
                TaskOrdered::Done { attempts: 0 } => {
                    report.done += &format!("delayed task {id} {done}\n");
                }
                TaskOrdered::Done { attempts: n } => {
                    report.done +=
                        &format!("delayed task {id} {done}; {} had failed\n", attempts(n));
                }
                ordered => report.refused += &refusal(*id, &ordered),
            }
        }
    }
    Ok(())
}

fn refusal(id: i64, ordered: &TaskOrdered) -> String {
    let why = ordered.describe();
    match ordered {
        TaskOrdered::Failed => format!(
            "delayed task {id} stays as it is: {why}; one that failed runs again by `dead replay`\n"
        ),
        _ => format!("delayed task {id} stays as it is: {why}\n"),
    }
}

/// Why what is due does not run.
fn rests(held: &[PauseRow]) -> Option<String> {
    let pauses = [
        (PauseKind::Delay, "delay resume"),
        (PauseKind::All, "resume"),
    ];
    pauses.into_iter().find_map(|(kind, order)| {
        let row = own(kind, "", held)?;
        Some(format!(
            "it waits all the same: {} is paused, {}; `{order}` ends that\n",
            kind.describe(""),
            since(row)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_task_is() {
        let owner = Some("script1/ab".to_owned());
        for (ordered, report) in [
            (TaskOrdered::Missing, "there is no such task"),
            (
                TaskOrdered::Claimed { owner },
                "it runs, or is about to: `script1/ab`",
            ),
            (TaskOrdered::Claimed { owner: None }, "Go program"),
            (TaskOrdered::Ended, "it is done already"),
            (TaskOrdered::Failed, "`dead replay`"),
            (TaskOrdered::Unknown { status: 9 }, "its status is 9"),
        ] {
            let refusal = refusal(7, &ordered);
            assert!(refusal.contains(report), "{refusal}");
            assert!(
                refusal.starts_with("delayed task 7 stays as it is: "),
                "{refusal}"
            );
        }
    }
}
