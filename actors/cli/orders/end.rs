//! `cron end`: ends a run that goes on, or takes back the order of one that has not begun.

use std::process::ExitCode;

use clap::Args;

use super::orderer;
use super::run::without_daemon;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::Config;
use crate::operations::Refusal;
use crate::operations::cron_end::{self, EndOrdered};

#[derive(Debug, Args)]
pub(in crate::cli) struct EndArgs {
    /// The run, as `cron runs` shows it
    run: String,
}

pub(super) fn end(config: &Config, args: &EndArgs) -> Result<ExitCode, Failure> {
    let store = mini_system::migrated_store(config)?;
    let text = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        Ok::<_, Refusal>(
            match cron_end::end(config, &db, &args.run, orderer()).await? {
                EndOrdered::Ordered(run) => format!(
                    "run {} of cron `{}` is ordered to end\n{}",
                    run.uk,
                    run.name,
                    without_daemon(&run.partition, db.reader()).await?
                ),
                EndOrdered::TakenBack(order) => format!(
                    "run {} of cron `{}` is taken back, it has not begun\n",
                    order.uk, order.name
                ),
            },
        )
    });
    print(&text.map_err(Failure::refused)?)?;
    Ok(ExitCode::SUCCESS)
}
