//! `migrate`: the tables, brought up to date.

use std::process::ExitCode;

use super::failure::{Failure, chain};
use super::print::print;
use super::{App, start, writer};
use crate::config::Places;

/// Prints what was done.
pub(super) fn migrate<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<ExitCode, Failure> {
    let config = start::configuration(app, places)?;
    let store = writer::open_store(&config)?;
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
