//! What the commands share: reading the configuration, and opening the log.

use super::App;
use super::failure::Failure;
use crate::config::{Config, Places, load};
use crate::logs::{LogGuard, LogOptions, StderrFormat, init};

/// Reads all files, against the handlers that are registered.
pub(super) fn configuration<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
) -> Result<Config, Failure> {
    load(places, &app.registry.commands()).map_err(Failure::misused)
}

/// Opens the log; kept until the process ends.
pub(super) fn log(config: &Config, stderr: StderrFormat) -> Result<LogGuard, Failure> {
    let logger = &config.settings.logger;
    let options = LogOptions {
        path: logger.path.clone(),
        level: logger.level,
        partition: config.partition.to_string(),
        max_size_mb: u64::from(logger.max_size_mb),
        max_backups: usize::try_from(logger.max_backups).unwrap_or(usize::MAX),
        max_age_days: logger.max_age_days,
        compress: logger.compress,
        stderr,
    };
    let guard = init(&options).map_err(Failure::failed)?;
    log_panics();
    Ok(guard)
}

/// A panic is a line in the log, with its place; what it ends is told by whoever replaces it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("(no text)");
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {at}"));
        log::error!("panic{place}: {text}");
    }));
}
