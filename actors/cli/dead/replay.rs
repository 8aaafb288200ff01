//! `dead replay`: runs letters again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::confirm::{Confirmed, confirm, with_group};
use super::filter::FilterArgs;

use super::order_of;
use super::payload::Edited;
use crate::bootstrap::failure::{FAILED, Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{print, print_error};
use crate::config::Config;
use crate::db::Db;
use crate::orders::dead::{Meant, Pace, Rate, Targets, Walk, portion};
use crate::store::DbError;
use crate::store::rows::{LetterFilter, LetterHead, LetterOrder, Replay};

/// Letters that cannot run here and are named, each with its reason.
const NAMED: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The letters, as `dead list` shows them; none: all that pass the filters
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Of this group of the same error, as `dead group` names it
    #[arg(long, value_name = "GROUP", conflicts_with = "ids")]
    group: Option<String>,
    /// At most so many, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// No faster: `100/s`, `30/m`, `5/h`
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// What one letter has from now on in place of its payload: the bytes of this file, or of standard input (`-`)
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Do not ask; needed without a terminal where all letters there are are meant
    #[arg(long)]
    yes: bool,
}

/// Prints what runs again, and what cannot.
pub(super) fn replay(
    config: &Config,
    delayed: &BTreeSet<String>,
    args: ReplayArgs,
) -> Result<ExitCode, Failure> {
    let filter = args.filter.filter();
    let edited = match args.payload {
        Some(_) if args.ids.len() != 1 || filter != LetterFilter::default() => {
            return Err(Failure::misused(
                "`--payload` is for one letter: `dead replay ID --payload FILE`",
            ));
        }
        Some(file) => Some(Edited::read(&file)?),
        None => None,
    };
    let meant = Meant {
        ids: args.ids,
        filter,
        limit: args.limit,
        group: None,
    };
    let targets = Targets { config, delayed };
    let store = mini_system::migrated_store(config)?;
    let mut done = Done::default();
    let ended = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        let meant = with_group(meant, db.reader(), args.group).await?;
        let confirmed = match args.yes {
            true => Confirmed::Yes,
            false => Confirmed::NotYet,
        };
        let what = ("run", " again");
        if !confirm(&meant, db.reader(), confirmed, what).await? {
            return Ok(Ok(()));
        }
        let order = order_of(config, &meant);
        let work = Work {
            targets,
            edited,
            rate: args.rate,
        };
        Ok(replay_all(&db, &meant, &work, order, &mut done).await)
    })?;
    print(&done.told())?;
    let mut complaints = done.complaints();
    if let Err(cause) = ended {
        let _ = writeln!(complaints, "then: {}", chain(&cause));
    }
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&complaints);
    Ok(ExitCode::from(FAILED))
}

/// How letters run again.
struct Work<'a> {
    targets: Targets<'a>,
    edited: Option<Edited>,
    rate: Option<Rate>,
}

impl Work<'_> {
    /// The replay of a letter and what the place is called where it runs; or why it cannot run.
    fn of(&self, letter: &LetterHead) -> Result<(Replay, String), String> {
        let (to, name) = self.targets.of(letter)?;
        let edited = self.edited.as_ref();
        let payload = edited.map(|edited| edited.for_letter(&to)).transpose()?;
        let id = letter.id;
        Ok((Replay { id, to, payload }, name))
    }
}

async fn replay_all(
    db: &Db,
    meant: &Meant,
    work: &Work<'_>,
    mut order: LetterOrder,
    done: &mut Done,
) -> Result<(), DbError> {
    let mut walk = Walk::begin(db.reader(), meant, portion(work.rate)).await?;
    let mut pace = Pace::begin(work.rate);
    loop {
        pace.wait().await;
        let heads = walk.next(db.reader()).await?;
        done.missing.append(&mut walk.missing);
        if heads.is_empty() {
            return Ok(());
        }
        let (mut replays, mut names) = (Vec::new(), Vec::new());
        for head in heads {
            match work.of(&head) {
                Ok((replay, name)) => {
                    replays.push(replay);
                    names.push(name);
                }
                Err(reason) => done.refused(&head, &reason),
            }
        }
        if replays.is_empty() {
            continue;
        }
        pace.did(replays.len());
        let replayed = db.replay_letters(replays, Some(order.clone())).await?;
        order.before += replayed.rows.iter().flatten().count();
        order.row = replayed.audit;
        for (name, row) in names.into_iter().zip(replayed.rows) {
            match row {
                Some(_) => *done.replayed.entry(name).or_default() += 1,
                None => done.gone += 1,
            }
        }
    }
}

/// What was done with the letters.
#[derive(Default)]
struct Done {
    /// By where they run.
    replayed: BTreeMap<String, u64>,
    /// Somebody else replayed or deleted them at the same time.
    gone: u64,
    refused: u64,
    /// The first of the refused, with their reasons.
    reasons: Vec<String>,
    missing: Vec<i64>,
}

impl Done {
    fn refused(&mut self, letter: &LetterHead, reason: &str) {
        self.refused += 1;
        if self.reasons.len() < NAMED {
            let line = format!("letter {} (`{}`) stays: {reason}", letter.id, letter.name);
            self.reasons.push(line);
        }
    }

    fn told(&self) -> String {
        let mut text = String::new();
        for (name, n) in &self.replayed {
            let _ = writeln!(text, "{name}: {}", letters(*n, "runs again", "run again"));
        }
        if self.gone > 0 {
            let were = letters(self.gone, "was", "were");
            let _ = writeln!(
                text,
                "{were} replayed or deleted by somebody else meanwhile"
            );
        }
        if text.is_empty() {
            text.push_str("no letter runs again\n");
        }
        text
    }

    fn complaints(&self) -> String {
        let mut text = String::new();
        for reason in &self.reasons {
            let _ = writeln!(text, "{reason}");
        }
        let more = self.refused - u64::try_from(self.reasons.len()).unwrap_or(0);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
        for id in &self.missing {
            let _ = writeln!(text, "there is no such letter: {id}");
        }
        text
    }
}

fn letters(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 letter {one}"),
        n => format!("{n} letters {many}"),
    }
}
