//! The report as people read it.

use std::fmt::{self, Write};
use std::time::Duration;

use super::online::Found;
use super::report::{CheckReport, CronReport, PoolReport, QueueReport, SourceReport};
use crate::config::show_duration;
use crate::store::rows::COUNT_CAP;

/// How many waits between attempts are shown.
const SHOWN_WAITS: u32 = 4;

/// All of it, a line break at the end.
pub(super) fn show(report: &CheckReport) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &CheckReport) -> fmt::Result {
    let verdict = match report.ok {
        true => "all is well",
        false => "the files are right, but not all that they name is reached, or as it must be",
    };
    writeln!(
        out,
        "{verdict}: environment {}, partition {}, configuration in {}",
        report.environment, report.partition, report.etc
    )?;
    for queue in report.queues.iter().filter(|queue| queue.live) {
        write_queue(out, queue)?;
    }
    for entry in report.crontab.iter().filter(|entry| entry.live) {
        write_cron(out, entry)?;
    }
    let queues = report
        .queues
        .iter()
        .filter_map(|queue| queue.why_not_live.as_ref());
    let crontab = report
        .crontab
        .iter()
        .filter_map(|entry| entry.why_not_live.as_ref());
    for line in queues.chain(crontab).chain(&report.notes) {
        writeln!(out, "{line}")?;
    }
    for server in report.online.iter().flatten() {
        write_found(out, server)?;
    }
    writeln!(
        out,
        "{} of {} queues and {} of {} cron entries are live",
        report.queues.iter().filter(|queue| queue.live).count(),
        report.queues.len(),
        report
            .crontab
            .iter()
            .filter(|entry| entry.live && !entry.drives_delay_queue)
            .count(),
        report.crontab.len()
    )
}

fn write_queue(out: &mut String, queue: &QueueReport) -> fmt::Result {
    let source = match &queue.source {
        SourceReport::Table { table } => format!("table `{table}`"),
        SourceReport::Redis { key, server } => format!("Redis list `{key}` of `{server}`"),
        SourceReport::Kafka {
            topic,
            group_id,
            cluster,
        } => format!("Kafka topic `{topic}` of `{cluster}`, group `{group_id}`"),
    };
    writeln!(
        out,
        "queue `{}`: live, {source}, consumer `{}`",
        queue.name, queue.exec_cmd
    )?;
    writeln!(out, "    pool: {}", pool(&queue.pool))?;
    writeln!(out, "    {}", retries(queue))
}

fn pool(pool: &PoolReport) -> String {
    let rest = consumers(pool.at_rest);
    if pool.at_most == Some(pool.at_rest) {
        return format!("{rest}, and never more (`max_progress`)");
    }
    let most = match (pool.at_most, pool.full_from_lag) {
        (Some(most), Some(lag)) => format!("{most} from a lag of {lag} on"),
        (Some(most), None) => most.to_string(),
        (None, _) => "one for each partition of the topic".to_owned(),
    };
    format!(
        "{rest}; with a lag above {} one more for each {} messages, at most {most}; checked every {}, and one that is \
         no longer needed leaves after {}",
        pool.grows_above_lag,
        pool.messages_per_consumer,
        seconds(pool.checked_every_s),
        seconds(pool.lease_s)
    )
}

fn consumers(n: u32) -> String {
    match n {
        1 => "1 consumer".to_owned(),
        n => format!("{n} consumers"),
    }
}

fn retries(queue: &QueueReport) -> String {
    let limit = match queue.timeout_s {
        Some(timeout) => format!("each at most {}", seconds(timeout)),
        None => "without a time limit".to_owned(),
    };
    if queue.max_attempts == 1 {
        return format!("1 attempt, {limit}; then a dead letter");
    }
    let waits = queue.max_attempts - 1;
    let shown: Vec<String> = (1..=waits.min(SHOWN_WAITS))
        .map(|failed| show_duration(queue.backoff.pause(failed)))
        .collect();
    let more = if waits > SHOWN_WAITS {
        format!(", … up to {}", show_duration(queue.backoff.max))
    } else {
        String::new()
    };
    format!(
        "{} attempts, {limit}; about {}{more} between them; then a dead letter",
        queue.max_attempts,
        shown.join(", ")
    )
}

fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| format!("{seconds} s"), show_duration)
}

fn write_cron(out: &mut String, entry: &CronReport) -> fmt::Result {
    if entry.drives_delay_queue {
        return writeln!(
            out,
            "cron `{}`: not needed, the delay queue runs by itself",
            entry.name
        );
    }
    let logged = if entry.is_log {
        ", each run a row of crontab_log"
    } else {
        ""
    };
    writeln!(
        out,
        "cron `{}`: live, `{}` in {}, cron job `{}`{logged}",
        entry.name, entry.cron, entry.timezone, entry.exec_cmd
    )?;
    if entry.every_s.is_some() {
        writeln!(out, "    counted from its last fire; had it been now:")?;
    }
    for fire in &entry.next {
        writeln!(out, "    next {}", fire.shown)?;
    }
    let timeout = match entry.timeout_s {
        Some(timeout) => format!("ended after {}", seconds(timeout)),
        None => "no time limit".to_owned(),
    };
    writeln!(
        out,
        "    {timeout}; while a run goes on: {}; missed fires: {}",
        entry.overlap, entry.misfire
    )
}

fn write_found(out: &mut String, server: &Found) -> fmt::Result {
    let verdict = match (server.reached, server.ok()) {
        (true, true) => "reached",
        (true, false) => "reached, but NOT READY",
        (false, _) => "NOT REACHED",
    };
    let mut notes: Vec<String> = Vec::new();
    notes.extend(server.problem.clone());
    notes.extend(server.version.clone());
    notes.extend(server.size_bytes.map(size));
    notes.extend(server.brokers.map(|brokers| format!("brokers: {brokers}")));
    notes.extend(server.topics.map(|topics| format!("topics: {topics}")));
    if let Some(pending) = &server.pending_migrations {
        notes.push(match pending.len() {
            0 => "no migrations pending".to_owned(),
            n if server.problem.is_some() => format!("migrations pending: {n}"),
            n => format!("migrations pending: {n}, done by the next start or `migrate`"),
        });
    }
    notes.extend(server.note.clone());
    writeln!(
        out,
        "{} `{}` ({}): {verdict}: {}",
        server.kind,
        server.name,
        server.address,
        notes.join("; ")
    )?;
    for table in server.tables.iter().flatten() {
        writeln!(out, "    table {}: {} rows", table.name, rows(table.rows))?;
    }
    for found in &server.unconsumed {
        writeln!(
            out,
            "    NOT CONSUMED: `{}`, {} messages: {}",
            found.source,
            rows(found.waiting),
            found.why
        )?;
    }
    for queue in &server.queues {
        write!(out, "    queue `{}`, `{}`: ", queue.queue, queue.source)?;
        match (&queue.problem, queue.waiting, queue.partitions) {
            (Some(problem), ..) => writeln!(out, "NOT READY: {problem}")?,
            (None, Some(waiting), _) => writeln!(out, "{} messages waiting", rows(waiting))?,
            (None, None, Some(partitions)) => writeln!(out, "{partitions} partitions")?,
            (None, None, None) if !server.reached => writeln!(out, "not checked")?,
            (None, None, None) => writeln!(out, "not there yet")?,
        }
    }
    Ok(())
}

fn rows(rows: u64) -> String {
    if rows > COUNT_CAP {
        format!("more than {COUNT_CAP}")
    } else {
        rows.to_string()
    }
}

/// Of a file, as `ls -h` would show it.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = bytes.saturating_mul(10) / unit;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_are_short() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(1536), "1.5 KB");
        assert_eq!(size(3 << 30), "3.0 GB");
        assert_eq!(rows(COUNT_CAP), "100000");
        assert_eq!(rows(COUNT_CAP + 1), "more than 100000");
    }
}
