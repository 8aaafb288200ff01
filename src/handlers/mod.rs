//! Business code, one directory a kind: consumers of queues, delayed tasks, cron jobs.

pub mod cron;
pub mod delay;
pub mod exec;
