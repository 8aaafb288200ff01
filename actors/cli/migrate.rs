//! `migrate`: the tables, brought up to date.

use std::process::ExitCode;

use clap::Args;

use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::{mini_system, open};
use crate::config::Places;

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Print the statements and run none, for an operator with the right to alter tables to run
    #[arg(long)]
    print: bool,
}

/// Prints what was done.
pub(crate) fn migrate<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: &MigrateArgs,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    let store = mini_system::own_store(&config);
    if args.print {
        print(&store.statements())?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = store
        .migrate()
        .map_err(|cause| Failure::failed(chain(&cause)))?;
    let address = store.address();
    print(&match done.len() {
        0 => format!("{address}: nothing to do\n"),
        n => format!("{address}: {n} migrations done: {}\n", done.join(", ")),
    })?;
    Ok(ExitCode::SUCCESS)
}
