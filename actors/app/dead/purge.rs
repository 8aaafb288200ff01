//! `dead purge`: deletes letters.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::all_are_meant;
use super::filter::{FilterArgs, Moment};
use super::walk::Walk;
use crate::app::failure::{FAILED, Failure, chain};
use crate::app::print::{print, print_error};
use crate::app::writer;
use crate::config::Config;
use crate::db::rows::LetterFilter;
use crate::db::{Db, DbError};

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The letters, as `dead list` shows them; none: all that pass the filters
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Died longer ago than that, as `--until`: `30d`
    #[arg(long, value_name = "TIME", conflicts_with = "until")]
    older_than: Option<Moment>,
    /// All letters are meant, where none is named and no filter is given
    #[arg(long)]
    yes: bool,
}

/// Prints how many were deleted.
pub(super) fn purge(config: &Config, args: PurgeArgs) -> Result<ExitCode, Failure> {
    let mut filter = args.filter.filter();
    filter.until_ms = filter.until_ms.or(args.older_than.map(|moment| moment.0));
    if args.ids.is_empty() && filter == LetterFilter::default() && !args.yes {
        all_are_meant("delete")?;
    }
    let store = writer::migrated_store(config)?;
    let (mut deleted, mut missing) = (0, Vec::new());
    let ended = writer::in_system(async {
        let db = writer::start_db(&store);
        purge_all(&db, args.ids, filter, &mut deleted, &mut missing).await
    });
    print(&format!("deleted: {deleted}\n"))?;
    let mut complaints = String::new();
    for id in missing {
        let _ = writeln!(complaints, "there is no such letter: {id}");
    }
    if let Err(cause) = ended {
        let _ = writeln!(complaints, "then: {}", chain(&cause));
    }
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&complaints);
    Ok(ExitCode::from(FAILED))
}

async fn purge_all(
    db: &Db,
    ids: Vec<i64>,
    filter: LetterFilter,
    deleted: &mut usize,
    missing: &mut Vec<i64>,
) -> Result<(), DbError> {
    let mut walk = Walk::begin(db.reader(), ids, filter, None).await?;
    loop {
        let heads = walk.next(db.reader()).await?;
        missing.append(&mut walk.missing);
        if heads.is_empty() {
            return Ok(());
        }
        let ids = heads.into_iter().map(|head| head.id);
        *deleted += db.delete_letters(ids.collect()).await?;
    }
}
