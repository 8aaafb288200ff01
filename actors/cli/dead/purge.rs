//! `dead purge`: deletes dead letters.

use std::process::ExitCode;

use clap::Args;

use super::confirm::Confirmed;
use super::filter::{FilterArgs, Moment};
use super::order::Order;
use crate::bootstrap::failure::Failure;
use crate::config::Config;
use crate::orders::dead::{Deed, Meant, Rate};

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
    let order = Order {
        meant,
        group: args.group,
        rate: args.rate,
        confirmed: Confirmed::by(args.yes),
        deed: Deed::Purge,
        words: ("delete", ""),
    };
    let ended = order.carry_out(config)?;
    let summary = format!("deleted: {}\n", ended.done.deleted);
    ended.print(&summary, String::new())
}
