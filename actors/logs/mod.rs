//! Logs: the daemon's own, and those that business code writes as JSON.
//!
//! log4rs decides what is logged; where it goes is ours ([`rolling`]), because log4rs rolls by one
//! trigger only, keeps nothing by age, and knows nothing of other processes writing the same file.

mod daemon;
mod file_queue;
mod keeper;
mod line;
mod lock;
mod logger;
mod names;
mod open_file;
mod output;
mod output_name;
mod printed;
mod queue;
mod queued;
mod record;
mod registry;
mod rolling;
mod run_output;
mod stderr;
mod sweep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{Local, NaiveDate};

use self::file_queue::FileQueue;
use self::names::Names;
use self::rolling::{RollingFile, Spec};

pub use self::logger::{Logger, logger};
pub(crate) use self::output::{OutputFile, OutputLog, OutputLogs};
pub(crate) use self::output_name::OutputName;
pub(crate) use self::printed::read_printed;
pub(crate) use self::queued::{QueuedLogger, flush_queued};
pub(crate) use self::run_output::{OutputPart, is_packed, read_output, read_part};
#[cfg(test)]
pub(crate) use self::stderr::tests::with_full_stderr;
pub(crate) use self::stderr::{before_fatal_signal, say};

/// Packing a hundred megabytes takes less than a second; a stop must not take longer for it.
const LAST_PACKING: Duration = Duration::from_secs(2);
/// The longest that the end of the process waits for lines of queued loggers.
const LAST_LINES: Duration = Duration::from_secs(2);
const BYTES_PER_MB: u64 = 1024 * 1024;

/// The settings' `logger`, and whose log it is.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions {
    /// The directory of all logs.
    pub(crate) path: PathBuf,
    /// For this crate and for business code; libraries are logged from `warn` up.
    pub(crate) level: log::LevelFilter,
    /// Begins the name of the daemon's log.
    pub(crate) partition: String,
    /// A file that reaches this size is rolled; 0: no limit.
    pub(crate) max_size_mb: u64,
    /// Rolled files kept of each log; 0: no limit.
    pub(crate) max_backups: usize,
    /// Older files are deleted; 0: no limit.
    pub(crate) max_age_days: u32,
    /// Whether rolled files are packed with gzip.
    pub(crate) compress: bool,
    /// What standard error shows beside the file.
    pub(crate) stderr: StderrFormat,
}

/// What standard error shows of the daemon's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StderrFormat {
    /// Level words in colour, where standard error is a terminal and `NO_COLOR` is unset.
    Person,
    /// Never any colour.
    Plain,
}

/// How much of a log is kept, and in which form. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    max_bytes: u64,
    max_backups: usize,
    max_age_days: u32,
    compress: bool,
}

impl Limits {
    /// Whether a file of `size` bytes is rolled before `line` is written.
    fn are_exceeded(&self, size: u64, line: &str) -> bool {
        self.max_bytes > 0 && size > 0 && size + line.len() as u64 > self.max_bytes
    }
}

impl Default for Limits {
    /// The defaults of the settings, and the Go project's: 100 MB, 10 files, 7 days, gzip.
    fn default() -> Self {
        Self {
            max_bytes: 100 * BYTES_PER_MB,
            max_backups: 10,
            max_age_days: 7,
            compress: true,
        }
    }
}

impl LogOptions {
    fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_size_mb.saturating_mul(BYTES_PER_MB),
            max_backups: self.max_backups,
            max_age_days: self.max_age_days,
            compress: self.compress,
        }
    }
}

/// Why logging could not be set up. A directory that cannot be written is not among it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("logging is already set up in this process; it can be set up once")]
    AlreadySetUp(#[source] log::SetLoggerError),
    #[error("the log has no thread or descriptor")]
    Thread(#[source] std::io::Error),
    #[error("the log configuration is contradictory")]
    Configuration(#[source] log4rs::config::runtime::ConfigErrors),
}

/// Keeps the upkeep of log files going; dropped, it flushes and ends it within two seconds.
#[must_use = "dropping it ends the upkeep of log files"]
#[derive(Debug)]
pub(crate) struct LogGuard(());

impl Drop for LogGuard {
    fn drop(&mut self) {
        flush_queued(LAST_LINES);
        log::logger().flush();
        keeper::keeper().end(LAST_PACKING);
    }
}

/// Sets up logging for this process: the daemon's log, standard error, and where loggers write.
///
/// # Errors
///
/// Logging was set up before. A directory that cannot be written is one warning on standard
/// error; it is tried again with a line every ten seconds.
pub(crate) fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let limits = options.limits();
    let spec = Spec {
        names: Names::new(&options.path, &options.partition),
        limits,
    };
    let file = Arc::new(RollingFile::new(
        spec.clone(),
        line::warning,
        keeper::rolled,
        // Not through `log`: that leads here.
        |now, text| stderr::say(&line::warning(now, text)),
    ));
    let stderr = stderr::start().map_err(LogError::Thread)?;
    let queue = FileQueue::of_process(Arc::clone(&file)).map_err(LogError::Thread)?;
    let config = daemon::config(queue, stderr, options).map_err(LogError::Configuration)?;
    log4rs::init_config(config).map_err(LogError::AlreadySetUp)?;
    registry::configure(&options.path, limits, options.level);
    let path = options.path.clone();
    keeper::keeper().each_hour(Box::new(move |stop| {
        let today = Local::now().date_naive();
        file.release_before(today);
        registry::release_before(today);
        sweep_all(&path, &spec, today, stop);
    }));
    Ok(LogGuard(()))
}

/// Packs and deletes what is due of the daemon's log, of all loggers and of what cron processes print, whichever
/// process writes them.
fn sweep_all(path: &Path, daemon: &Spec, today: NaiveDate, stop: &AtomicBool) {
    let output = output::on_disk(path, daemon.limits);
    let logs = registry::on_disk(path, daemon.limits).chain(output);
    for spec in logs.chain([daemon.clone()]) {
        sweep::sweep(&spec, today, stop);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn logs_of_other_partitions_are_not_swept() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("pay")).unwrap();
        fs::write(path("pay/.app.lock"), "").unwrap();
        fs::create_dir(path("foreign")).unwrap();
        for name in [
            "script1-20261121",
            "script2-20261121",
            "pay/app-20261121",
            "foreign/app-20261121",
        ] {
            fs::write(path(&format!("{name}.log")), "line\n").unwrap();
        }
        let daemon = Spec {
            names: Names::new(dir.path(), "script1"),
            limits: Limits::default(),
        };
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        sweep_all(dir.path(), &daemon, today, &AtomicBool::new(false));
        assert!(path("script1-20261121.1.log.gz").exists());
        assert!(path("pay/app-20261121.1.log.gz").exists());
        assert!(path("script2-20261121.log").exists());
        assert!(path("foreign/app-20261121.log").exists());
    }
}
