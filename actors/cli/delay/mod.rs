//! `delay`: the tasks of the delay queue, and orders about single ones.

mod list;
mod order;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

use super::orders;
use crate::app::App;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::open;
use crate::config::Places;

#[derive(Debug, Subcommand)]
pub(crate) enum DelayCommand {
    /// Show delayed tasks: the running and the waiting ones, or those of one status
    List(list::ListArgs),
    /// Show one delayed task with all its columns
    Show(show::ShowArgs),
    /// Cancel delayed tasks that wait: they never run
    Cancel(order::CancelArgs),
    /// Make delayed tasks that wait due now, or at another time
    Run(order::RunArgs),
    /// Pause the delay queue: tasks can be pushed, and wait
    Pause,
    /// Resume the delay queue: what is overdue runs at once
    Resume,
}

pub(crate) fn delay<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: DelayCommand,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    match command {
        DelayCommand::List(args) => list::list(&config, &app.registry.commands().delayed, &args),
        DelayCommand::Show(args) => show::show(&config, &args),
        DelayCommand::Cancel(args) => order::cancel(&config, args),
        DelayCommand::Run(args) => order::run(&config, args),
        DelayCommand::Pause => orders::pause_delay(&config),
        DelayCommand::Resume => orders::resume_delay(&config),
    }
}
