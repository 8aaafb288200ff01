//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::failure::Failure;
use super::{App, check, dead, exec, migrate, push, run, send};
use crate::config::{Environment, Partition, Places};

/// Cron, self-sizing queue consumers and a durable delay queue in one daemon.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    places: PlaceArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  simplest_script                                       start the daemon
  simplest_script check                                 see whether etc/ is right, and what fires when
  simplest_script push delay_test --params x --delay-time 5
  simplest_script send demo 'hello' 'world'
  simplest_script dead list

Exit status: 0 done, 1 failed, 2 bad configuration or usage.";

/// Which configuration is meant.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Directory of the configuration
    #[arg(
        long,
        global = true,
        env = "SCRIPT_ETC",
        default_value = "etc",
        value_name = "DIR"
    )]
    etc: PathBuf,
    /// Environment: dev, test, release or pre; chooses etc/ENV.json and what is live
    #[arg(
        long,
        global = true,
        env = "SCRIPT_ENV",
        default_value = "dev",
        value_name = "ENV"
    )]
    env: Environment,
    /// Partition: chooses `etc/queue_PARTITION.json` and `etc/crontab_PARTITION.json`
    #[arg(
        long,
        global = true,
        env = "SCRIPT_PARTITION",
        default_value = "script1",
        value_name = "PARTITION"
    )]
    partition: Partition,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the daemon (what happens without a command, too)
    Run,
    /// See whether the configuration is right, and when each cron entry fires next
    Check,
    /// Run one cron handler in the foreground and print its result as JSON
    Exec(exec::ExecArgs),
    /// Push a task onto the delay queue and print its id
    Push(push::PushArgs),
    /// Send messages to a configured queue
    Send(send::SendArgs),
    /// Bring the tables up to date
    Migrate,
    /// Look at the dead letters
    #[command(subcommand)]
    Dead(dead::DeadCommand),
}

/// Runs the program; `App::main`.
pub(super) fn main<S: Send + Sync + 'static>(app: App<S>) -> ExitCode {
    let started = Instant::now();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(refusal) = go_flags(&args) {
        return Failure::misused(refusal).report();
    }
    let cli = match parse(&args) {
        Ok(cli) => cli,
        // Help and versions are not errors; clap knows where to print what, and the exit status.
        Err(error) => error.exit(),
    };
    if !app.registry.doubles().is_empty() {
        return Failure::misused(app.registry.doubles().join("\n")).report();
    }
    let places = Places {
        etc: cli.places.etc,
        environment: cli.places.env,
        partition: cli.places.partition,
    };
    let done = match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(app, &places, started),
        Command::Check => check::check(&app, &places),
        Command::Exec(args) => exec::exec(app, &places, args),
        Command::Push(args) => push::push(&app, &places, args),
        Command::Send(args) => send::send(&app, &places, args),
        Command::Migrate => migrate::migrate(&app, &places),
        Command::Dead(command) => dead::dead(&app, &places, command),
    };
    done.unwrap_or_else(Failure::report)
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let name = args
        .first()
        .and_then(|path| Path::new(path).file_stem())
        .map_or_else(
            || "simplest_script".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
    // The help names the program that shows it, which is the user's own.
    let command = Cli::command().bin_name(name);
    let matches = command.try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

/// The Go project's flags, with what replaces them.
fn go_flags(args: &[OsString]) -> Option<String> {
    let flag = args.iter().skip(1).find_map(|arg| {
        let text = arg.to_str()?;
        let name = text.split('=').next()?;
        ["-mode", "-f"].contains(&name).then(|| name.to_owned())
    })?;
    Some(match flag.as_str() {
        "-mode" => "`-mode` is the Go project's: `run` starts queues, cron and the delay queue in one daemon; \
                    `exec CMD [PARAMS]` runs one cron handler"
            .to_owned(),
        _ => "`-f FILE` is the Go project's: settings are read from `etc/{env}.json`; `--etc DIR` and `--env ENV` \
              choose which"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_daemon_runs() {
        let cli = parse(&args("/usr/bin/x --env release --partition script2")).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.places.env, Environment::Release);
        assert!(parse(&args("x --env prod")).is_err());
        assert!(parse(&args("x --partition a/b")).is_err());
    }

    #[test]
    fn go_flags_are_answered_with_our_commands() {
        assert!(go_flags(&args("x -mode queue")).unwrap().contains("`run`"));
        assert!(
            go_flags(&args("x -f=etc/dev.yaml"))
                .unwrap()
                .contains("--etc")
        );
        assert!(go_flags(&args("x send demo a")).is_none());
    }
}
