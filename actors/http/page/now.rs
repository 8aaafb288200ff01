//! What is wrong first, then what runs.

use actix_web::HttpResponse;
use askama::Template;

use super::cron::CronRow;
use super::format::{capped, count, known};
use super::frame::{Frame, Tab};
use super::language::Language;
use super::rows::QueueRow;
use super::spark::Spark;
use super::trouble::Trouble;
use super::visit::Visit;
use crate::clock::millis;
use crate::membership::partition_of;
use crate::orders::PauseKind;

/// Things that are wrong that are listed.
const MOST_TROUBLES: usize = 20;
/// Queues, and cron entries, that are listed: those in trouble first.
const MOST_LISTED: usize = 20;

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage {
    frame: Frame,
    t: Language,
    troubles: Vec<Trouble>,
    more_troubles: usize,
    queues: Vec<QueueRow>,
    all_queues: usize,
    entries: Vec<CronRow>,
    all_entries: usize,
    delay: DelayRow,
    daemons: Vec<DaemonRow>,
    daemons_unknown: Option<String>,
    file: String,
}

/// The delay queue.
struct DelayRow {
    spark: Spark,
    rate: String,
    waiting: String,
    overdue: Option<String>,
    running: usize,
    failed: String,
    has_failed: bool,
    lateness: String,
    is_paused: bool,
}

/// A daemon of the tables.
struct DaemonRow {
    partition: String,
    host: String,
    pid: i32,
    started_ms: i64,
    heartbeat: String,
    is_this: bool,
    version: String,
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let (t, state) = (visit.t, &visit.config.state);
    let mut troubles = visit.troubles().await;
    let queues = visit.found_queues(&troubles);
    let queues = queues.iter().take(MOST_LISTED);
    let queues = queues
        .map(|queue| visit.queue_row(queue, &troubles))
        .collect();
    let entries = visit.found_entries(&troubles);
    let entries = entries.iter().take(MOST_LISTED);
    let entries = entries
        .map(|entry| visit.cron_row(entry, &troubles))
        .collect();
    let (daemons, daemons_unknown) = match daemons(&visit).await {
        Ok(daemons) => (daemons, None),
        Err(cause) => (Vec::new(), Some(cause)),
    };
    let more_troubles = troubles.list.len().saturating_sub(MOST_TROUBLES);
    troubles.list.truncate(MOST_TROUBLES);
    visit.show(&NowPage {
        frame: visit.frame(Tab::Now, t.tab_now()),
        t,
        troubles: troubles.list,
        more_troubles,
        queues,
        all_queues: state.queues().len(),
        entries,
        all_entries: state.cron().len(),
        delay: delay(&visit),
        daemons,
        daemons_unknown,
        file: visit.queue_file(),
    })
}

fn delay(visit: &Visit) -> DelayRow {
    let (t, state) = (visit.t, &visit.config.state);
    let view = state.delay.view();
    let spark = Spark::of(&state.delay_history());
    DelayRow {
        rate: t.rate(spark.per_second),
        waiting: known(view.waiting.map(capped)),
        overdue: view
            .overdue_ms()
            .filter(|ms| *ms > 0)
            .map(|ms| t.overdue(t.span(ms))),
        running: view.running_count,
        failed: count(spark.failed),
        has_failed: spark.failed > 0,
        lateness: known(spark.lateness.map(|mean| t.seconds(mean))),
        is_paused: visit.pause_of(PauseKind::Delay, "").is_some(),
        spark,
    }
}

async fn daemons(visit: &Visit) -> Result<Vec<DaemonRow>, String> {
    let t = visit.t;
    let found = visit.config.database.boots().await;
    let (boots, ago) = found.map_err(|cause| cause.to_string())?;
    let own = &visit.config.state.identity;
    let rows = boots.iter().map(|boot| {
        let name = boot.owner.split('/').next_back().unwrap_or_default();
        let silent = boot.silent_ms.saturating_add(millis(ago));
        DaemonRow {
            partition: partition_of(&boot.owner).to_owned(),
            host: boot.host.clone(),
            pid: boot.pid,
            started_ms: boot.started_ms,
            heartbeat: t.ago(0, silent),
            is_this: name == own.boot,
            version: known(boot.version.clone()),
        }
    });
    Ok(rows.collect())
}

/// An example of a queue entry, for a page that has none.
pub(super) const QUEUE_EXAMPLE: &str = r#"[
  {
    "name": "orders", "exec_cmd": "handle_order", "table": "orders",
    "progress": 1, "max_progress": 10, "progress_lag_limit": 1000, "progress_avg_msgcount": 100, "status": 1
  }
]"#;
