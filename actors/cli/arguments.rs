//! The command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::{
    alert, check, completions, dead, delay, exec, generate_model, help, import, init, migrate,
    orders, push, reload, run, schema, send, signals, status,
};
use crate::app::App;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::version;
use crate::config::{Environment, Partition, Places};

/// Cron, self-sizing queue consumers and a durable delay queue in one daemon.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    places: PlaceArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which configuration is meant. The variables are read where it is: a wrong one keeps nobody from `init`.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Directory of the configuration [env: SCRIPT_ETC] [default: etc]
    #[arg(long, global = true, value_name = "DIR")]
    etc: Option<PathBuf>,
    /// Environment: dev, test, release or pre; chooses etc/ENV.json and what is live [env: SCRIPT_ENV] [default: dev]
    #[arg(long, global = true, value_name = "ENV")]
    env: Option<Environment>,
    /// Partition: chooses `etc/queue_PARTITION.json` and `etc/crontab_PARTITION.json` [env: SCRIPT_PARTITION]
    /// [default: script1]
    #[arg(long, global = true, value_name = "PARTITION")]
    partition: Option<Partition>,
}

impl PlaceArgs {
    fn places(&self, variable: Variables<'_>) -> Result<Places, Failure> {
        Ok(Places {
            etc: self
                .etc
                .clone()
                .or_else(|| filled(variable, "SCRIPT_ETC").map(PathBuf::from))
                .unwrap_or_else(|| PathBuf::from("etc")),
            environment: given(self.env, variable, "SCRIPT_ENV")?,
            partition: given(self.partition.clone(), variable, "SCRIPT_PARTITION")?,
        })
    }
}

/// What the environment holds under a name.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Files that set variables for containers write `SCRIPT_ENV=` for none.
fn filled(variable: Variables<'_>, name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

/// The option's value, else the variable's, else the default.
fn given<T: FromStr<Err: Display> + Default>(
    option: Option<T>,
    variable: Variables<'_>,
    name: &str,
) -> Result<T, Failure> {
    match (option, filled(variable, name)) {
        (Some(given), _) => Ok(given),
        (None, None) => Ok(T::default()),
        (None, Some(value)) => value
            .to_string_lossy()
            .parse()
            .map_err(|cause| Failure::misused(format!("{name}: {cause}"))),
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the daemon (what happens without a command, too)
    Run,
    /// See whether the configuration is right, and when each cron entry fires next
    Check(check::CheckArgs),
    /// Run one cron handler in the foreground and print its result as JSON
    Exec(exec::ExecArgs),
    /// Push a task onto the delay queue and print its id
    Push(push::PushArgs),
    /// Send messages to a configured queue
    Send(send::SendArgs),
    /// Bring the tables up to date
    Migrate(migrate::MigrateArgs),
    /// See what the running daemons are doing, and what is wrong first
    Status(status::StatusArgs),
    /// Have the running daemon read its configuration again, and see what came of it
    Reload,
    /// Show queue entries, pause and resume them, check their lag
    #[command(subcommand)]
    Queue(orders::QueueCommand),
    /// Show cron entries and their runs, pause and resume them, run them now, end runs
    #[command(subcommand)]
    Cron(orders::CronCommand),
    /// Show delayed tasks, cancel them, run them now or later; pause and resume the delay queue
    #[command(subcommand)]
    Delay(delay::DelayCommand),
    /// Pause everything: queues, cron and the delay queue, on every daemon of the environment
    Pause,
    /// Resume everything that `pause` paused; what was paused by its name stays so
    Resume,
    /// Look at the dead letters
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// See whether the receivers of alerts take messages
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Make a new project: Cargo.toml, a handler of each kind, commented etc/, tests
    Init(init::InitArgs),
    /// Make etc/ENV.json of the Go project's YAML settings
    Import(import::ImportArgs),
    /// Write diesel schemas and models of the tables of databases
    GenerateModel(generate_model::GenerateModelArgs),
    /// Print the JSON Schema of a configuration file, for editors
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete this command line
    Completions(completions::CompletionsArgs),
}

/// The options that stand before a command with a value behind them.
const OPTIONS: [&str; 3] = ["--etc", "--env", "--partition"];

/// Runs the program; `App::main`.
pub(crate) fn main<S: Send + Sync + 'static>(app: App<S>) -> ExitCode {
    let started = Instant::now();
    signals::reset_inherited();
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
    done(app, cli, started).unwrap_or_else(Failure::report)
}

fn done<S: Send + Sync + 'static>(
    app: App<S>,
    cli: Cli,
    started: Instant,
) -> Result<ExitCode, Failure> {
    let places = || cli.places.places(&|name| std::env::var_os(name));
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(app, &places()?, started),
        Command::Check(args) => check::check(&app, &places()?, &args),
        Command::Exec(args) => exec::exec(app, &places()?, args),
        Command::Push(args) => push::push(&app, &places()?, args),
        Command::Send(args) => send::send(&app, &places()?, args),
        Command::Migrate(args) => migrate::migrate(&app, &places()?, &args),
        Command::Status(args) => status::status(&app, &places()?, &args),
        Command::Reload => reload::reload(&app, &places()?),
        Command::Queue(command) => orders::queue(&app, &places()?, command),
        Command::Cron(command) => orders::cron(&app, &places()?, command),
        Command::Delay(command) => delay::delay(&app, &places()?, command),
        Command::Pause => orders::pause(&app, &places()?),
        Command::Resume => orders::resume(&app, &places()?),
        Command::Dead(command) => dead::dead(&app, &places()?, command),
        Command::Alert(command) => alert::alert(&app, &places()?, &command),
        Command::Init(args) => init::init(&args),
        Command::Import(args) => import::import(&places()?, &args),
        Command::GenerateModel(args) => generate_model::generate_model(&places()?, &args),
        Command::Schema(args) => schema::schema(&app.registry.commands(), &args),
        Command::Completions(args) => completions::completions(command(&version::program()), &args),
    }
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let program = version::program_of(args.first().map(OsString::as_os_str));
    let matches = command(&program).try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

fn command(program: &str) -> clap::Command {
    help::named(Cli::command(), program)
}

/// The Go project's flags, with what replaces them. They come before any command: behind it stand the user's own texts.
fn go_flags(args: &[OsString]) -> Option<String> {
    let flag = before_command(args).find_map(|arg| {
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

/// The options before the command, without the values of our own ones.
fn before_command(args: &[OsString]) -> impl Iterator<Item = &OsString> {
    let mut is_value = false;
    args.iter()
        .skip(1)
        .take_while(move |arg| {
            let is_option = arg.as_encoded_bytes().starts_with(b"-") && *arg != "--";
            let goes_on = is_value || is_option;
            is_value = !is_value && OPTIONS.iter().any(|option| *arg == option);
            goes_on
        })
        .filter(|arg| arg.as_encoded_bytes().starts_with(b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_support::documents::blocks;

    fn args(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command("x").debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_name_the_program() {
        fn all(command: &clap::Command) {
            let examples = command.get_after_help().map(ToString::to_string);
            let examples = examples.unwrap_or_default();
            assert!(
                examples.contains("  orders"),
                "{}: {examples}",
                command.get_name()
            );
            assert!(!examples.contains("{}"), "{examples}");
            command.get_subcommands().for_each(all);
        }
        all(&command("orders"));
    }

    #[test]
    fn the_version_names_the_program_and_what_it_was_built_with() {
        let tls = if crate::config::HAS_TLS {
            "with"
        } else {
            "without"
        };
        let version = env!("CARGO_PKG_VERSION");
        for (program, shown) in [
            (
                "simplest_script",
                format!("simplest_script {version} (sqlite, mysql, postgres; {tls} tls)\n"),
            ),
            (
                "orders",
                format!("orders (simplest_script {version}; sqlite, mysql, postgres; {tls} tls)\n"),
            ),
        ] {
            let asked = parse(&args(&format!("/usr/bin/{program} --version")));
            assert_eq!(asked.unwrap_err().to_string(), shown);
        }
    }

    #[test]
    fn without_a_command_the_daemon_runs() {
        let cli = parse(&args("/usr/bin/x --env release --partition script2")).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.places.env, Some(Environment::Release));
        assert!(parse(&args("x --env prod")).is_err());
        assert!(parse(&args("x --partition a/b")).is_err());
    }

    #[test]
    fn an_option_goes_before_its_variable() {
        let places = |line: &str, value: &'static str| {
            let cli = parse(&args(line)).unwrap();
            cli.places.places(&|name| {
                assert!(name.starts_with("SCRIPT_"));
                Some(value.into())
            })
        };
        let none = places("x", "").unwrap();
        assert_eq!(none.etc, PathBuf::from("etc"));
        assert_eq!(none.environment, Environment::Dev);
        assert_eq!(none.partition, Partition::default());
        let pre = places("x", "pre").unwrap();
        assert_eq!(pre.etc, PathBuf::from("pre"));
        assert_eq!(pre.environment, Environment::Pre);
        assert_eq!(pre.partition.as_ref(), "pre");
        let given = places("x check --env test --partition b", "prod").unwrap();
        assert_eq!(given.environment, Environment::Test);
        let wrong = format!("{:?}", places("x", "prod").unwrap_err());
        assert!(
            wrong.contains("SCRIPT_ENV: `prod` is no environment"),
            "{wrong}"
        );
    }

    #[test]
    fn go_flags_are_answered_with_our_commands() {
        assert!(go_flags(&args("x -mode queue")).unwrap().contains("`run`"));
        assert!(
            go_flags(&args("x -f=etc/dev.yaml"))
                .unwrap()
                .contains("--etc")
        );
        assert!(go_flags(&args("x --env test -mode queue")).is_some());
        assert!(go_flags(&args("x --etc=a --partition b -f c")).is_some());
    }

    #[test]
    fn what_stands_behind_a_command_is_no_go_flag() {
        for line in [
            "x send demo a",
            "x send demo -- -f",
            "x push remind --params -f --delay-time 1",
            "x --env test exec report -mode",
            "x --etc a exec report -- -f=x",
            "x -- -f",
        ] {
            assert_eq!(go_flags(&args(line)), None, "{line}");
        }
    }

    #[test]
    fn options_of_a_message_may_stand_anywhere() {
        for (line, sent, key) in [
            ("x send q Ann --key 7 --header a=b", &["Ann"][..], Some("7")),
            ("x send --key 7 q Ann Bob", &["Ann", "Bob"], Some("7")),
            ("x send q - --key 7", &["-"], Some("7")),
            ("x send q -- -x --key", &["-x", "--key"], None),
            ("x send q -7", &["-7"], None),
        ] {
            let Some(Command::Send(given)) = parse(&args(line)).unwrap().command else {
                panic!("{line}")
            };
            assert_eq!(given.messages, sent, "{line}");
            assert_eq!(given.key.as_deref(), key, "{line}");
        }
        assert!(parse(&args("x send q -x")).is_err());
    }

    /// What the shell makes of an example: it ends where two spaces explain it, or another program takes over.
    fn typed(example: &str) -> Option<Vec<OsString>> {
        let mut words: Vec<String> = Vec::new();
        let (mut word, mut quoted, mut blanks) = (String::new(), false, 0);
        for c in example.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => {
                    blanks += 1;
                    if blanks > 1 {
                        break;
                    }
                    words.push(std::mem::take(&mut word));
                    continue;
                }
                c => word.push(c),
            }
            blanks = 0;
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        let end = words
            .iter()
            .position(|word| ["|", "<", ">", "&&"].contains(&&**word));
        words.truncate(end.unwrap_or(words.len()));
        let start = words.iter().position(|word| word == "orders")?;
        let before = &words[..start];
        let is_command = before.iter().all(|word| word.starts_with("SCRIPT_"));
        is_command.then(|| words[start..].iter().map(Into::into).collect())
    }

    /// `cargo run --` and `simplest_script` stand for a program of one's own, the continuation of a line for a blank.
    #[test]
    fn each_command_in_the_documents_is_a_command_line() {
        let mut seen = 0;
        for block in blocks("sh") {
            for line in block.text.replace("\\\n", "").lines() {
                let line = line.split(" && ").last().unwrap_or(line).trim_start();
                let line = line.replace("cargo run -- ", "orders ");
                let line = line.replace("simplest_script ", "orders ");
                let Some(args) = typed(&line) else {
                    continue;
                };
                if let Err(error) = parse(&args) {
                    panic!("{}: {line}: {error}", block.place);
                }
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen}");
    }

    #[test]
    fn each_example_of_the_help_is_a_command_line() {
        fn all(command: &clap::Command, seen: &mut usize) {
            let examples = command.get_after_help().map(ToString::to_string);
            let examples = examples.unwrap_or_default().replace("COMMAND", "send");
            for line in examples.lines().skip(1) {
                let Some(args) = typed(line.trim_start()) else {
                    continue;
                };
                if let Err(error) = parse(&args) {
                    let shown = error.kind() == clap::error::ErrorKind::DisplayHelp;
                    assert!(shown, "{line}: {error}");
                }
                *seen += 1;
            }
            for below in command.get_subcommands() {
                all(below, seen);
            }
        }
        let mut seen = 0;
        all(&command("orders"), &mut seen);
        assert!(seen > 20, "{seen} examples");
    }
}
