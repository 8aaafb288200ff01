//! What is published, and what readers make of it.

mod cron_runs;
mod figures;
mod history;
mod listed;
mod queues;

use super::*;
use crate::testing_support::queue_state;

fn entry(name: &str, key: &str) -> Arc<CronState> {
    CronState::new(CronFacts {
        name: name.to_owned(),
        key: key.to_owned(),
        expression: "@daily".to_owned(),
        timezone: "UTC".to_owned(),
        exec_cmd: "c".to_owned(),
        replaces: false,
    })
}
