//! `alert`: sees whether the receivers of alerts take messages.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Subcommand;

use super::print::print;
use super::run;
use crate::alert::test_each;
use crate::app::App;
use crate::bootstrap::failure::{FAILED, Failure};
use crate::bootstrap::{mini_system, open};
use crate::config::Places;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Send one message to each receiver of `alert.webhooks` and print what each answers; exit status 0 when all took it
    Test,
}

/// Prints a line for each receiver.
pub(crate) fn alert<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: &AlertCommand,
) -> Result<ExitCode, Failure> {
    match command {
        AlertCommand::Test => test(app, places),
    }
}

fn test<S: Send + Sync + 'static>(app: &App<S>, places: &Places) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    let settings = &config.settings.alert;
    if settings.webhooks.is_empty() {
        return Err(Failure::failed(format!(
            "`{}` names no receiver: put one into `alert.webhooks`",
            places.settings().display()
        )));
    }
    let all = mini_system::in_system(test_each(settings, &run::origin(&config)));
    let mut out = String::new();
    for tested in &all {
        // Writing into a String cannot fail.
        let _ = write!(out, "{} {}", tested.label, tested.answer);
        if let Some(not_here) = &tested.not_here {
            let _ = write!(out, " (a test only: {not_here})");
        }
        out.push('\n');
    }
    print(&out)?;
    Ok(match all.iter().all(|tested| tested.is_taken) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}
