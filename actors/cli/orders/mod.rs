//! `queue`, `cron`, `pause`, `resume`, `delay pause`, `delay resume`: orders to all daemons of the environment that share the
//! tables. They are rows, so they can be given while no daemon runs, and hold until they are taken back.

mod check;
mod end;
mod follow;
mod list;
mod logs;
mod run;
mod runs;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::end::EndArgs;
use self::list::{Entry, ListArgs};
use self::logs::LogsArgs;
use self::run::RunArgs;
use self::runs::RunsArgs;
use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::{mini_system, open};
use crate::config::{Config, Places, did_you_mean};
use crate::membership::host;
use crate::moment::shown;
use crate::orders::{self, PauseKind, Target, Wish};
use crate::store::rows::PauseRow;
use crate::store::{DbError, Reader};

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Show the queue entries of this partition, and which are paused
    List(ListArgs),
    /// Pause queue entries: consumers finish what runs and start nothing more, on every daemon
    Pause(NamesArgs),
    /// Resume queue entries
    Resume(NamesArgs),
    /// Check the lag of queue entries now, and size their pools by it, on every daemon
    Check(NamesArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CronCommand {
    /// Show the cron entries of this partition, and which are paused
    List(ListArgs),
    /// Pause cron entries: what runs goes on, and fires of paused entries are not made, now or later
    Pause(NamesArgs),
    /// Resume cron entries
    Resume(NamesArgs),
    /// Run a cron entry now, once, on one of the daemons of this partition
    Run(RunArgs),
    /// Show the runs of cron entries, the newest first: how they went, and who ordered them
    Runs(RunsArgs),
    /// End a run with everything it started: SIGTERM, and SIGKILL after 10 seconds
    End(EndArgs),
    /// Show what a run printed, on the machine where it ran
    Logs(LogsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// The `name` of the entries; all entries of that name are meant
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

pub(crate) fn queue<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: QueueCommand,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    match command {
        QueueCommand::List(args) => list::list(&config, PauseKind::Queue, queues(&config), &args),
        QueueCommand::Pause(args) => of_names(&config, PauseKind::Queue, args, Wish::Paused),
        QueueCommand::Resume(args) => of_names(&config, PauseKind::Queue, args, Wish::Resumed),
        QueueCommand::Check(args) => check::check(&config, args),
    }
}

pub(crate) fn cron<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: CronCommand,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    match command {
        CronCommand::List(args) => list::list(&config, PauseKind::Cron, crontab(&config), &args),
        CronCommand::Pause(args) => of_names(&config, PauseKind::Cron, args, Wish::Paused),
        CronCommand::Resume(args) => of_names(&config, PauseKind::Cron, args, Wish::Resumed),
        CronCommand::Run(args) => run::run(&config, &args),
        CronCommand::Runs(args) => runs::runs(&config, &args),
        CronCommand::End(args) => end::end(&config, &args),
        CronCommand::Logs(args) => logs::logs(&config, &args),
    }
}

pub(crate) fn pause_delay(config: &Config) -> Result<ExitCode, Failure> {
    give(config, PauseKind::Delay, vec![String::new()], Wish::Paused)
}

pub(crate) fn resume_delay(config: &Config) -> Result<ExitCode, Failure> {
    give(config, PauseKind::Delay, vec![String::new()], Wish::Resumed)
}

pub(crate) fn pause<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    give(&config, PauseKind::All, vec![String::new()], Wish::Paused)
}

pub(crate) fn resume<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    give(&config, PauseKind::All, vec![String::new()], Wish::Resumed)
}

fn queues(config: &Config) -> Vec<Entry> {
    let entries = config.queues.iter();
    let entries = entries.map(|entry| Entry {
        name: entry.name.clone(),
        what: entry.source.describe(),
        exec_cmd: entry.exec_cmd.clone(),
        live: entry.live,
    });
    entries.collect()
}

fn crontab(config: &Config) -> Vec<Entry> {
    let entries = config.crontab.iter();
    let entries = entries.map(|entry| Entry {
        name: entry.name.clone(),
        what: format!("`{}`", entry.expression),
        exec_cmd: entry.exec_cmd.clone(),
        live: entry.live,
    });
    entries.collect()
}

/// Nothing is ordered where one of the names is wrong.
fn of_names(
    config: &Config,
    kind: PauseKind,
    args: NamesArgs,
    wish: Wish,
) -> Result<ExitCode, Failure> {
    let (known, what): (BTreeSet<String>, _) = match kind {
        PauseKind::Queue => (known_queues(config), "queue"),
        _ => {
            let names = config.crontab.iter().map(|entry| entry.name.clone());
            (names.collect(), "cron entry")
        }
    };
    refuse_unknown(config, what, &args.names, &known)?;
    give(config, kind, args.names, wish)
}

fn known_queues(config: &Config) -> BTreeSet<String> {
    let names = config.queues.iter().map(|entry| entry.name.clone());
    names.collect()
}

fn refuse_unknown(
    config: &Config,
    what: &str,
    names: &[String],
    known: &BTreeSet<String>,
) -> Result<(), Failure> {
    match names.iter().find(|name| !known.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(Failure::misused(format!(
            "no {what} `{name}` is configured in partition {}{}",
            config.partition,
            did_you_mean(name, known)
        ))),
    }
}

fn give(
    config: &Config,
    kind: PauseKind,
    names: Vec<String>,
    wish: Wish,
) -> Result<ExitCode, Failure> {
    let store = mini_system::migrated_store(config)?;
    let environment = config.environment.name();
    let target = |name| Target { kind, name };
    let text = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        let mut text = String::new();
        for target in names.into_iter().map(target) {
            let changed = orders::give(&db, environment, &target, wish, orderer()).await?;
            let held = held(db.reader(), environment).await?;
            text += &outcome(&target, wish, changed, &held);
        }
        Ok::<_, DbError>(text)
    });
    print(&text.map_err(|cause| Failure::failed(chain(&cause)))?)?;
    Ok(ExitCode::SUCCESS)
}

/// The pauses that hold.
pub(crate) async fn held(reader: &dyn Reader, environment: &str) -> Result<Vec<PauseRow>, DbError> {
    let mut rows = reader.pauses(environment).await?;
    rows.retain(|row| row.until_ms.is_none());
    Ok(rows)
}

/// The pause of exactly this; that of everything is its own.
pub(crate) fn own<'a>(kind: PauseKind, name: &str, held: &'a [PauseRow]) -> Option<&'a PauseRow> {
    let mut held = held.iter();
    held.find(|row| row.kind == kind.column() && row.name == name)
}

/// Its own pause goes before that of everything: it is the one to be resumed first.
fn pause_of<'a>(kind: PauseKind, name: &str, held: &'a [PauseRow]) -> Option<&'a PauseRow> {
    own(kind, name, held).or_else(|| own(PauseKind::All, "", held))
}

/// What is so now, in words.
fn outcome(target: &Target, wish: Wish, changed: bool, held: &[PauseRow]) -> String {
    let what = target.describe();
    let mut text = match (wish, changed, own(target.kind, &target.name, held)) {
        (Wish::Paused, true, _) => format!("{what} is paused\n"),
        (Wish::Paused, false, Some(row)) => format!("{what} is paused already, {}\n", since(row)),
        (Wish::Paused, false, None) => format!("{what} was paused already\n"),
        (Wish::Resumed, true, _) => format!("{what} is resumed\n"),
        (Wish::Resumed, false, _) => format!("{what} was not paused\n"),
    };
    let everything = own(PauseKind::All, "", held).filter(|_| target.kind != PauseKind::All);
    if let (Wish::Resumed, Some(row)) = (wish, everything) {
        text += &format!(
            "it rests all the same, as everything is paused, {}; `resume` ends that\n",
            since(row)
        );
    }
    text
}

/// Since when, and by whose order.
pub(crate) fn since(row: &PauseRow) -> String {
    format!(
        "since {}, by order of {}",
        shown(row.since_ms),
        row.ordered_by
    )
}

/// Who gives this order: the system's user, and the machine.
pub(crate) fn orderer() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].map(|name| std::env::var(name).ok());
    let user = named.into_iter().flatten().find(|name| !name.is_empty());
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, name: &str) -> PauseRow {
        PauseRow {
            kind: kind.to_owned(),
            name: name.to_owned(),
            since_ms: 0,
            until_ms: None,
            ordered_by: "ann@web-1".to_owned(),
        }
    }

    fn target(kind: PauseKind, name: &str) -> Target {
        Target {
            kind,
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_answer_says_what_is_so_now() {
        let own = [row("queue", "orders")];
        let all = [row("all", "")];
        for (wish, changed, held, text) in [
            (
                Wish::Paused,
                true,
                &own[..],
                vec!["queue `orders` is paused\n"],
            ),
            (
                Wish::Paused,
                false,
                &own,
                vec!["is paused already", "by order of ann@web-1"],
            ),
            (
                Wish::Resumed,
                true,
                &[],
                vec!["queue `orders` is resumed\n"],
            ),
            (
                Wish::Resumed,
                false,
                &[],
                vec!["queue `orders` was not paused\n"],
            ),
            (
                Wish::Resumed,
                true,
                &all,
                vec!["is resumed", "everything is paused", "`resume`"],
            ),
        ] {
            let outcome = outcome(&target(PauseKind::Queue, "orders"), wish, changed, held);
            for part in text {
                assert!(outcome.contains(part), "{outcome}");
            }
            assert_eq!(outcome.contains("everything"), held == all, "{outcome}");
        }
        let everything = outcome(&target(PauseKind::All, ""), Wish::Resumed, true, &[]);
        assert_eq!(everything, "everything is resumed\n");
    }
}
