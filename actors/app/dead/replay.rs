//! `dead replay`: runs letters again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::all_are_meant;
use super::filter::FilterArgs;
use super::target::Targets;
use super::walk::Walk;
use crate::app::failure::{FAILED, Failure, chain};
use crate::app::print::{print, print_error};
use crate::app::writer;
use crate::config::Config;
use crate::db::rows::{LetterFilter, LetterHead, Replay};
use crate::db::{Db, DbError};

/// Letters that cannot run here and are named, each with its reason.
const NAMED: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The letters, as `dead list` shows them; none: all that pass the filters
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// All letters are meant, where none is named and no filter is given
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
    if args.ids.is_empty() && filter == LetterFilter::default() && !args.yes {
        all_are_meant("run again")?;
    }
    let targets = Targets { config, delayed };
    let store = writer::migrated_store(config)?;
    let mut done = Done::default();
    let ended = writer::in_system(async {
        let db = writer::start_db(&store);
        replay_all(&db, &targets, args.ids, filter, args.limit, &mut done).await
    });
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

async fn replay_all(
    db: &Db,
    targets: &Targets<'_>,
    ids: Vec<i64>,
    filter: LetterFilter,
    limit: Option<u64>,
    done: &mut Done,
) -> Result<(), DbError> {
    let mut walk = Walk::begin(db.reader(), ids, filter, limit).await?;
    loop {
        let heads = walk.next(db.reader()).await?;
        done.missing.append(&mut walk.missing);
        if heads.is_empty() {
            return Ok(());
        }
        let (mut replays, mut names) = (Vec::new(), Vec::new());
        for head in heads {
            match targets.of(&head) {
                Ok((to, name)) => {
                    replays.push(Replay { id: head.id, to });
                    names.push(name);
                }
                Err(reason) => done.refused(&head, &reason),
            }
        }
        if replays.is_empty() {
            continue;
        }
        let rows = db.replay_letters(replays).await?;
        for (name, row) in names.into_iter().zip(rows) {
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
