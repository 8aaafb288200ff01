//! `dead`: dead letters, which are not tried again until a person orders it.

mod confirm;
mod filter;
mod group;
mod list;
mod order;
mod purge;
mod replay;
mod unconsumed;

use std::process::ExitCode;

use clap::Subcommand;

use crate::app::App;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::{mini_system, open};
use crate::config::Places;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Show dead letters, the newest first
    List(list::ListArgs),
    /// Show groups of dead letters that died in one place of the same error, the largest first
    Group(group::GroupArgs),
    /// Run dead letters again, the oldest first, each through its entry in this partition's configuration
    Replay(replay::ReplayArgs),
    /// Delete dead letters
    Purge(purge::PurgeArgs),
}

pub(crate) fn dead<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: DeadCommand,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    match command {
        DeadCommand::List(args) => list::list(
            &mini_system::migrated_store(&config)?,
            &config,
            places,
            args,
        ),
        DeadCommand::Group(args) => group::group(&mini_system::migrated_store(&config)?, args),
        DeadCommand::Replay(args) => {
            let delayed = app.registry.commands().delayed;
            replay::replay(&config, &delayed, args)
        }
        DeadCommand::Purge(args) => purge::purge(&config, args),
    }
}
