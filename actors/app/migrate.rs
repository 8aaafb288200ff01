//! `migrate`: the tables, brought up to date.

use std::process::ExitCode;

use clap::Args;

use super::failure::{Failure, chain};
use super::print::print;
use super::{App, start, writer};
use crate::config::Places;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Print the statements and run none, for those who may not alter: whoever may, runs them
    #[arg(long)]
    print: bool,
}

/// Prints what was done.
pub(super) fn migrate<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: &MigrateArgs,
) -> Result<ExitCode, Failure> {
    let config = start::configuration(app, places)?;
    let store = writer::own_store(&config);
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
