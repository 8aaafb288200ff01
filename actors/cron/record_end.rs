//! The end of a run: its line in the log, and its row.

use std::time::Duration;

use super::CronConfig;
use super::outcome::Outcome;
use crate::clock::now_ms;
use crate::outage::Outage;
use crate::settler::Refusal;
use crate::store::rows::RunEnd;
use crate::store::write::EndRun;

/// Before a refused end is tried again: an operator has to mend something first.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// A line for the run's end: an error where someone should act. What `overlap` ends is as configured.
pub(super) fn log_end(name: &str, uk: &str, outcome: &Outcome) {
    if outcome.status == "success" {
        log::info!("cron `{name}`: run {uk} ended: success");
    } else if outcome.is_ordinary() {
        log::info!(
            "cron `{name}`: run {uk} ended: {}: {}",
            outcome.status,
            outcome.result
        );
    } else {
        log::error!(
            "cron `{name}`: run {uk} ended: {}: {}",
            outcome.status,
            outcome.result
        );
    }
}

/// Writes the end; a run ends in the database, however long that is away. Answers whether it had none before.
pub(super) async fn end_run(
    config: &CronConfig,
    uk: &str,
    outcome: Outcome,
    pid: i32,
    only_of: Option<String>,
) -> bool {
    let end = RunEnd {
        uk: uk.to_owned(),
        status: outcome.status.to_owned(),
        result: outcome.result,
        pid,
        ended_ms: now_ms(),
        only_of,
    };
    let mut outage = Outage::new("the database, where the end of a cron run is written,");
    let mut is_refused = false;
    loop {
        match config.db.write(EndRun(end.clone())).await {
            Ok(first) => {
                outage.passed();
                return first;
            }
            Err(cause) if cause.is_refusal() => {
                if !std::mem::replace(&mut is_refused, true) {
                    log::error!(
                        "the end of run {uk} is not written and is tried again, others go on: {cause}"
                    );
                }
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            Err(cause) => tokio::time::sleep(outage.failed(cause)).await,
        }
    }
}
