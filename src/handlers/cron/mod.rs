//! Cron jobs, each run in a process of its own. The names they are registered under stand in `etc/crontab_*.json`.

mod crontab_track;

pub use crontab_track::crontab_track;
