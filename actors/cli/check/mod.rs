//! `check`: whether the configuration is right, entry by entry, and with `--online` whether what it names is there.
//!
//! A report is made first ([`report`]); text and JSON are two ways to show the same report. Nothing is written.

mod online;
mod report;
mod text;

use std::process::ExitCode;

use clap::Args;

use self::report::CheckReport;
use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{FAILED, Failure};
use crate::bootstrap::{mini_system, open};
use crate::config::{Places, Report};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Also reach every server that live entries and settings use; exit status 1 when one is not reached
    #[arg(long)]
    online: bool,
    /// One JSON document, for programs
    #[arg(long)]
    json: bool,
}

/// Prints what is live and what is not.
pub(crate) fn check<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: &CheckArgs,
) -> Result<ExitCode, Failure> {
    let config = match open::load(app, places) {
        Ok(config) => config,
        Err(report) => return refused(places, args, report),
    };
    let mut report = CheckReport::new(&config, places);
    if args.online {
        let found = mini_system::in_system(online::inspect(&config, places));
        report.ok &= found.iter().all(|server| server.ok());
        report.online = Some(found);
    }
    if args.json {
        print_json(&report)?;
    } else {
        print(&text::show(&report))?;
    }
    Ok(match report.ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

/// People read the faults on standard error, programs as JSON on standard output.
fn refused(places: &Places, args: &CheckArgs, report: Report) -> Result<ExitCode, Failure> {
    if args.json {
        print_json(&report::Refused::new(places, report.faults()))?;
    }
    Err(open::misconfigured(places, &report))
}

fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).map_err(Failure::failed)?;
    print(&format!("{text}\n"))
}
