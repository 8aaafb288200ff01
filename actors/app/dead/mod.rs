//! `dead`: what will not be tried again, until a person says so.

mod filter;
mod list;
mod purge;
mod replay;
mod target;
mod unconsumed;
mod walk;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use super::{App, start, writer};
use crate::config::Places;

#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// Show dead letters, the newest first
    List(list::ListArgs),
    /// Run dead letters again, the oldest first, each through its entry in this partition's configuration
    Replay(replay::ReplayArgs),
    /// Delete dead letters
    Purge(purge::PurgeArgs),
}

pub(super) fn dead<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    command: DeadCommand,
) -> Result<ExitCode, Failure> {
    let config = start::configuration(app, places)?;
    match command {
        DeadCommand::List(args) => {
            list::list(&writer::migrated_store(&config)?, &config, places, args)
        }
        DeadCommand::Replay(args) => {
            let delayed = app.registry.commands().delayed;
            replay::replay(&config, &delayed, args)
        }
        DeadCommand::Purge(args) => purge::purge(&config, args),
    }
}

/// Asks whether really all letters are meant. Where nobody can be asked, `--yes` must say so.
fn all_are_meant(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::misused(format!(
            "no letter and no filter is named: this would {what} all dead letters; say `--yes` if that is meant"
        )));
    }
    let question = format!("{what} all dead letters? [y/N] ");
    match asked(&question, &mut io::stdin().lock(), &mut io::stderr()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed("nothing was done")),
        Err(cause) => Err(Failure::failed(format!(
            "no answer, nothing was done: {cause}"
        ))),
    }
}

fn asked(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    write!(to, "{question}")?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_means_all() {
        for (answer, meant) in [
            ("y\n", true),
            (" YES \n", true),
            ("yes", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut shown = Vec::new();
            let yes = asked("all? ", &mut answer.as_bytes(), &mut shown).unwrap();
            assert_eq!(yes, meant, "{answer:?}");
            assert_eq!(shown, b"all? ");
        }
    }
}
