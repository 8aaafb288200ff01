//! `dead purge`: deletes dead letters.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::confirm::{Confirmed, confirm, with_group};
use super::filter::{FilterArgs, Moment};
use super::order_of;
use crate::bootstrap::failure::{FAILED, Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::{print, print_error};
use crate::config::Config;
use crate::orders::dead::{Deed, Meant, Rate, Watch, carry_out};

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// The dead letters, as `dead list` shows them; none: all that pass the filters
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Of this group of the same error, as `dead group` names it
    #[arg(long, value_name = "GROUP", conflicts_with = "ids")]
    group: Option<String>,
    /// Died longer ago than that, as `--until`: `30d`
    #[arg(long, value_name = "TIME", conflicts_with = "until")]
    older_than: Option<Moment>,
    /// No faster: `100/s`, `30/m`, `5/h`
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Do not ask; needed without a terminal where all dead letters there are are meant
    #[arg(long)]
    yes: bool,
}

/// Prints how many were deleted.
pub(super) fn purge(config: &Config, args: PurgeArgs) -> Result<ExitCode, Failure> {
    let mut filter = args.filter.filter();
    filter.until_ms = filter.until_ms.or(args.older_than.map(|moment| moment.0));
    let meant = Meant {
        ids: args.ids,
        filter,
        ..Meant::default()
    };
    let store = mini_system::migrated_store(config)?;
    let watch = Watch::default();
    let ended = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        let meant = with_group(meant, db.reader(), args.group).await?;
        let confirmed = match args.yes {
            true => Confirmed::Yes,
            false => Confirmed::NotYet,
        };
        if !confirm(&meant, db.reader(), confirmed, ("delete", "")).await? {
            return Ok(Ok(()));
        }
        let order = order_of(config, &meant);
        Ok(carry_out(&db, &meant, &Deed::Purge, args.rate, order, &watch).await)
    })?;
    let done = watch.done();
    print(&format!("deleted: {}\n", done.deleted))?;
    let mut complaints = String::new();
    for id in done.missing {
        let _ = writeln!(complaints, "there is no such dead letter: {id}");
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
