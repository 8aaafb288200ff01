//! Business logs: JSON lines, each name in a directory of its own.

use std::fmt::Display;
use std::panic::Location;
use std::process;
use std::sync::Arc;

use chrono::Local;
use log::{Level, LevelFilter};
use serde::Serialize;
use serde_json::{Map, Value};

use super::record::{self, Severity};
use super::registry::{self, Sink};
use super::stderr;

/// Writes JSON lines to `{logger.path}/{name}/app-YYYYMMDD.log`.
///
/// Cheap to make and to clone. The caller writes the line itself: it is with the operating system when the call returns, so
/// none is lost at exit, abort or `kill -9`. A file that cannot be written (full disk, missing rights) never fails the caller.
/// A disk that *stands still* (a snapshot is taken, a network disk hangs) holds the caller, and every thread that logs to the
/// same name, until it goes on; the daemon's own log, through the `log` crate, holds a line for 200 ms at most.
/// Lines below the settings' `logger.level` are left out. Made by [`logger`].
#[derive(Clone, Debug)]
pub struct Logger {
    sink: Arc<Sink>,
    fields: Arc<Map<String, Value>>,
    caller: Caller,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Shown,
    Omitted,
}

/// The logger called `name`, one to 64 of `A-Z a-z 0-9 _ -`; another name is mended, with a warning.
///
/// ```no_run
/// let log = simplest_script::logger("testLog").with_fields(serde_json::json!({ "order": 7 }));
/// log.info("paid");
/// log.warn(format_args!("{} left in stock", 3));
/// ```
#[must_use]
pub fn logger(name: &str) -> Logger {
    Logger::new(registry::sink(name))
}

impl Logger {
    fn new(sink: Arc<Sink>) -> Self {
        Self {
            sink,
            fields: Arc::default(),
            caller: Caller::Omitted,
        }
    }

    /// The same logger, with `fields` in each line besides those it has; of equal names the new wins.
    ///
    /// An object (a map, a struct, `json!({…})`) gives its members; anything else is put under `value`.
    #[must_use]
    pub fn with_fields(&self, fields: impl Serialize) -> Self {
        let mut all = Map::clone(&self.fields);
        match serde_json::to_value(fields) {
            Ok(Value::Object(new)) => all.extend(new),
            Ok(other) => all.extend([("value".to_owned(), other)]),
            // A log line with a hint is worth more than none, or a panic.
            Err(error) => all.extend([("fields_error".to_owned(), error.to_string().into())]),
        }
        Self {
            fields: Arc::new(all),
            ..self.clone()
        }
    }

    /// The same logger, with `caller`, `file` and `line` of each call in its line.
    #[must_use]
    pub fn with_caller(&self) -> Self {
        Self {
            caller: Caller::Shown,
            ..self.clone()
        }
    }

    /// Logs what helps to find a fault.
    #[track_caller]
    pub fn debug(&self, message: impl Display) {
        self.log(Level::Debug, Severity::Debug, &message);
    }

    /// Logs what happened.
    #[track_caller]
    pub fn info(&self, message: impl Display) {
        self.log(Level::Info, Severity::Info, &message);
    }

    /// Logs what went wrong and was coped with.
    #[track_caller]
    pub fn warn(&self, message: impl Display) {
        self.log(Level::Warn, Severity::Warn, &message);
    }

    /// Logs what went wrong and needs someone to act.
    #[track_caller]
    pub fn error(&self, message: impl Display) {
        self.log(Level::Error, Severity::Error, &message);
    }

    /// Logs the message, in the daemon's log as well, and ends the process at once with status 1.
    ///
    /// Nothing is shut down in order: what is in flight runs again later.
    #[track_caller]
    pub fn fatal(&self, message: impl Display) -> ! {
        self.write(Severity::Fatal, &message);
        let name = &self.sink.name;
        if log::max_level() == LevelFilter::Off {
            // There is no daemon's log: a process must not vanish without a word.
            stderr::say(&format!("logger `{name}` ends this process: {message}\n"));
        } else {
            log::error!("logger `{name}` ends this process: {message}");
        }
        log::logger().flush();
        process::exit(1)
    }

    #[track_caller]
    fn log(&self, level: Level, severity: Severity, message: &dyn Display) {
        if self.sink.takes(level) {
            self.write(severity, message);
        }
    }

    #[track_caller]
    fn write(&self, severity: Severity, message: &dyn Display) {
        let caller = match self.caller {
            Caller::Shown => Some(Location::caller()),
            Caller::Omitted => None,
        };
        let now = Local::now();
        let line = record::render(now, severity, message, caller, &self.fields);
        self.sink.write(now, &line);
    }
}

#[cfg(test)]
mod tests;
