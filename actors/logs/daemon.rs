//! The daemon's log: what log4rs hands on, into the file and to standard error.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use chrono::Local;
use log::{LevelFilter, Record};
use log4rs::append::Append;
use log4rs::config::runtime::{Appender, Config, ConfigErrors, Logger, Root};

use super::line::{self, Colour};
use super::rolling::RollingFile;
use super::{LogOptions, StderrFormat};

/// Libraries whose own life cycle is not news. Named one by one, so that business code, whose
/// crate we cannot know, is heard like ours.
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

/// All of it for log4rs: the settings' level, libraries from `warn` up.
pub(super) fn config(file: Arc<RollingFile>, options: &LogOptions) -> Result<Config, ConfigErrors> {
    let daemon = DaemonLog {
        file,
        stderr: stderr_colour(options.stderr),
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
    file: Arc<RollingFile>,
    stderr: Colour,
}

impl Append for DaemonLog {
    fn append(&self, record: &Record) -> anyhow::Result<()> {
        let now = Local::now();
        let render =
            |colour| line::render(now, record.level(), library(record), record.args(), colour);
        let plain = render(Colour::Plain);
        self.file.write(now, &plain);
        // Standard error that is closed or full is no reason to stop, and nobody to tell.
        let _ = match self.stderr {
            Colour::Plain => io::stderr().write_all(plain.as_bytes()),
            Colour::Ansi => io::stderr().write_all(render(Colour::Ansi).as_bytes()),
        };
        Ok(())
    }

    fn flush(&self) {
        // Nothing waits: each line is with the system when `append` returns.
    }
}

/// The library a record came from, when it is one.
fn library<'a>(record: &Record<'a>) -> Option<&'a str> {
    let name = record.target().split("::").next()?;
    LIBRARIES.contains(&name).then_some(name)
}
