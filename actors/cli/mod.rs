//! The command line of a program: a file or a folder for each command, and the arguments that choose one.

#![warn(
    clippy::print_stdout,
    reason = "`print` does not panic over a closed pipe"
)]

mod alert;
mod arguments;
mod await_database;
mod check;
mod completions;
mod dead;
mod delay;
mod exec;
mod generate_model;
mod help;
mod import;
mod init;
mod migrate;
mod orders;
mod print;
mod push;
mod reload;
mod run;
mod schema;
mod send;
mod signals;
mod startup_log;
mod status;

use std::process::ExitCode;

use crate::app::App;

impl<S: Send + Sync + 'static> App<S> {
    /// Reads the command line and carries it out; to be returned from `main`.
    ///
    /// Exit status: 0 done, 1 failed, 2 bad configuration or usage.
    pub fn main(self) -> ExitCode {
        arguments::main(self)
    }
}
