//! The key `logger`: where logs go, how much is logged and kept.

use std::path::PathBuf;

use log::LevelFilter;

use crate::jsonc::node::Node;

/// The levels by name, the quietest first.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

/// A log file of 1 TB is a mistake.
const MOST_MEGABYTES: u64 = 1_000_000;
/// More files than this slow down every read of the directory.
const MOST_BACKUPS: u64 = 10_000;
/// A hundred years.
const MOST_DAYS: u64 = 36_500;

/// What is logged and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggerSettings {
    /// The directory.
    pub path: PathBuf,
    /// What is less grave is not logged.
    pub level: LevelFilter,
    /// A larger file is rolled, in MB.
    pub max_size_mb: u32,
    /// How many rolled files are kept; 0 is all.
    pub max_backups: u32,
    /// How many days rolled files are kept; 0 is for ever.
    pub max_age_days: u32,
    /// Whether rolled files are compressed.
    pub compress: bool,
}

impl Default for LoggerSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::from("logs"),
            level: LevelFilter::Info,
            max_size_mb: 100,
            max_backups: 10,
            max_age_days: 7,
            compress: true,
        }
    }
}

impl LoggerSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        node.object(|o| {
            let d = Self::default();
            let path = o.optional("path", d.path, |n| {
                n.text(super::LONGEST_PATH).map(PathBuf::from)
            });
            let level = o.optional("level", d.level, |n| n.one_of(&LEVELS));
            let size = o.optional("max_size_mb", d.max_size_mb, |n| {
                n.small(1..=MOST_MEGABYTES)
            });
            let backups = o.optional("max_backups", d.max_backups, |n| n.small(0..=MOST_BACKUPS));
            let days = o.optional("max_age_days", d.max_age_days, |n| n.small(0..=MOST_DAYS));
            let compress = o.optional("compress", d.compress, Node::boolean);
            Some(Self {
                path: path?,
                level: level?,
                max_size_mb: size?,
                max_backups: backups?,
                max_age_days: days?,
                compress: compress?,
            })
        })
    }
}
