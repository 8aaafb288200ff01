//! What the commands share: reading the configuration, and opening the log.

use super::failure::Failure;
use super::go_layout;
use crate::app::App;
use crate::config::{self, Config, Places, Report};
use crate::logs::{LogGuard, LogOptions, StderrFormat, init};

/// Reads all files, against the handlers that are registered.
pub(crate) fn configuration<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<Config, Failure> {
    self::load(app, places).map_err(|report| misconfigured(places, &report))
}

/// As [`configuration`], without the crontab.
pub(crate) fn configuration_for_run<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<Config, Failure> {
    config::load_for_run(places, &app.registry.commands())
        .map_err(|report| misconfigured(places, &report))
}

/// As [`configuration`], for callers that want the faults one by one.
pub(crate) fn load<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<Config, Report> {
    config::load(places, &app.registry.commands())
}

/// The report, and where files of the Go project were found that may be the missing ones.
pub(crate) fn misconfigured(places: &Places, report: &Report) -> Failure {
    let mut text = report.to_string();
    for hint in hints_of(places) {
        text.push('\n');
        text.push_str(&hint);
    }
    Failure::misused(text)
}

/// Where files of the Go project lie that may be the missing ones.
pub(crate) fn hints_of(places: &Places) -> Vec<String> {
    go_layout::hints(places)
}

/// What the settings say of all logs.
pub(crate) fn log_options(config: &Config, stderr: StderrFormat) -> LogOptions {
    let logger = &config.settings.logger;
    LogOptions {
        path: logger.path.clone(),
        level: logger.level,
        partition: config.partition.to_string(),
        max_size_mb: u64::from(logger.max_size_mb),
        max_backups: usize::try_from(logger.max_backups).unwrap_or(usize::MAX),
        max_age_days: logger.max_age_days,
        compress: logger.compress,
        stderr,
    }
}

/// Opens the log; kept until the process ends.
pub(crate) fn log(config: &Config, stderr: StderrFormat) -> Result<LogGuard, Failure> {
    let options = log_options(config, stderr);
    let guard = init(&options).map_err(Failure::failed)?;
    log_panics();
    Ok(guard)
}

/// A panic is a line in the log, with its place; the owner that replaces the ended part logs the replacement.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("(no text)");
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {at}"));
        log::error!("panic{place}: {text}");
    }));
}
