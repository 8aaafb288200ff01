//! `completions`: what a shell needs to complete our command line.

use std::io;
use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::help;

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
    // Somebody may read only its beginning.
    match io::Write::write_all(&mut io::stdout(), &script) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(cause)),
        _ => Ok(ExitCode::SUCCESS),
    }
}
