//! What the files say, for orders that name things.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::Config;
use crate::logs::LogOptions;

/// See the module's header.
pub(crate) struct Files {
    config: RwLock<Arc<Config>>,
    /// Where what cron runs print lies.
    pub(super) logs: LogOptions,
}

impl Files {
    pub(crate) fn new(config: Arc<Config>, logs: LogOptions) -> Self {
        Self {
            config: RwLock::new(config),
            logs,
        }
    }

    /// As they were read last, with the entries that are not live.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    /// A reload has read them again.
    pub(crate) fn set(&self, config: Arc<Config>) {
        *self.config.write() = config;
    }

    /// Files without entries.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        let config = Config {
            environment: crate::config::Environment::Dev,
            partition: crate::config::Partition::default(),
            settings: crate::config::Settings::default(),
            queues: Vec::new(),
            crontab: Vec::new(),
            notes: Vec::new(),
        };
        let logs = LogOptions {
            path: std::path::PathBuf::from("logs"),
            level: log::LevelFilter::Info,
            partition: "script1".to_owned(),
            max_size_mb: 0,
            max_backups: 0,
            max_age_days: 0,
            compress: false,
            stderr: crate::logs::StderrFormat::Plain,
        };
        Self::new(Arc::new(config), logs)
    }
}
