//! The daemon's log: what log4rs hands on, into the file and to standard error.

use std::env;
use std::io::{self, IsTerminal};

use chrono::Local;
use log::{LevelFilter, Record};
use log4rs::append::Append;
use log4rs::config::runtime::{Appender, Config, ConfigErrors, Logger, Root};

use super::file_queue::FileQueue;
use super::line::{self, Colour};
use super::queue::Pushed;
use super::stderr::{EXIT_PATIENCE, Stderr};
use super::{LogOptions, StderrFormat};
use crate::trace::Trace;

/// Libraries whose own life cycle is not news. Named one by one, so that business code, whose
/// crate we cannot know, is logged like ours.
const LIBRARIES: &[&str] = &[
    "actix",
    "actix_codec",
    "actix_http",
    "actix_rt",
    "actix_server",
    "actix_web",
    "awc",
    "bb8",
    "bb8_redis",
    "cron",
    "croner",
    "diesel",
    "diesel_async",
    "diesel_migrations",
    "h2",
    "hyper",
    "hyper_util",
    "iana_time_zone",
    "job_scheduler_ng",
    "librdkafka",
    "log4rs",
    "mio",
    "mysql_async",
    "mysql_common",
    "rdkafka",
    "redis",
    "reqwest",
    "rustls",
    "tokio",
    "tokio_postgres",
    "tokio_util",
    "tracing",
    "want",
];

const APPENDER: &str = "daemon";

const NOT_READ: &str =
    "standard error is not read, lines are dropped there until it is; this file has them all";

/// All of it for log4rs: the settings' level, libraries from `warn` up.
pub(super) fn config(
    file: FileQueue,
    stderr: Stderr,
    options: &LogOptions,
) -> Result<Config, ConfigErrors> {
    let daemon = DaemonLog {
        file,
        stderr,
        colour: stderr_colour(options.stderr),
    };
    let quiet = options.level.min(LevelFilter::Warn);
    Config::builder()
        .appender(Appender::builder().build(APPENDER, Box::new(daemon)))
        .loggers(
            LIBRARIES
                .iter()
                .map(|name| Logger::builder().build(*name, quiet)),
        )
        .build(Root::builder().appender(APPENDER).build(options.level))
}

fn stderr_colour(format: StderrFormat) -> Colour {
    // https://no-color.org: set and not empty means none.
    let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        StderrFormat::Person if wanted && io::stderr().is_terminal() => Colour::Ansi,
        StderrFormat::Person | StderrFormat::Plain => Colour::Plain,
    }
}

/// One appender for both places, so that a record has the same time in both.
#[derive(Debug)]
struct DaemonLog {
    file: FileQueue,
    stderr: Stderr,
    colour: Colour,
}

impl Append for DaemonLog {
    fn append(&self, record: &Record) -> anyhow::Result<()> {
        let now = Local::now();
        let trace = Trace::current();
        let trace = trace.as_ref();
        let (level, origin) = (record.level(), library(record));
        let render = |colour| line::render(now, level, origin, record.args(), trace, colour);
        let plain = render(Colour::Plain);
        // The file first: it has every line, whatever standard error takes.
        self.file.write(now, &plain);
        let missing = |lines: u64| line::warning(now, &format!("lines dropped here: {lines}"));
        let pushed = match self.colour {
            Colour::Plain => self.stderr.push(&plain, missing),
            Colour::Ansi => self.stderr.push(&render(Colour::Ansi), missing),
        };
        match pushed {
            Pushed::Queued | Pushed::Dropped => {}
            Pushed::Full => self.file.write(now, &line::warning(now, NOT_READ)),
            Pushed::Resumed(lines) => {
                let text = format!("standard error is read again; it lacks {lines} lines");
                self.file.write(now, &line::warning(now, &text));
            }
        }
        Ok(())
    }

    fn flush(&self) {
        self.file.flush(EXIT_PATIENCE);
        self.stderr.flush(EXIT_PATIENCE);
    }
}

/// The library a record came from, when it is one.
fn library<'a>(record: &Record<'a>) -> Option<&'a str> {
    let name = record.target().split("::").next()?;
    LIBRARIES.contains(&name).then_some(name)
}
