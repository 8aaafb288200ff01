//! `completions`: what a shell needs to complete our command line.

use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::help;
use super::print::print;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn completions(
    mut command: clap::Command,
    args: &CompletionsArgs,
) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, help::program(), &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
