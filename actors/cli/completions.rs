//! `completions`: what a shell needs to complete our command line.

use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate};

use super::print::print;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::version;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn completions(
    mut command: clap::Command,
    args: &CompletionsArgs,
) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, version::program(), &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
