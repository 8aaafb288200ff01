//! Records that failed, or whose handler ended a process, in this one or another: the database counts both.
//!
//! A failed attempt is durable before its record may run again, wherever that is: attempts run out though partitions go
//! and come, and daemons are started anew. It costs nothing where nothing fails: rows are written for failures only, and
//! deleted once the position has passed them.
//!
//! They are asked for before anything of a partition is given out: whoever finds a dead daemon's slots counts its deaths
//! within a second, and the group gives away its partitions only after its session is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lane::Charged;
use super::shared::Shared;
use crate::db::rows::{FailedAttempt, OutsideDeath, OutsideId};
use crate::job::slots::{Identity, QueueName};
use crate::outage::Outage;
use crate::source::{End, Settled, outside};

/// A record that failed waits so long for the database at most, beside its back-off.
const NOTE_PATIENCE: Duration = Duration::from_secs(2);

/// What the slot of a record says.
pub(super) fn identity(name: &QueueName, partition: i32, offset: i64) -> Identity<'_> {
    name.message(format!("{partition}/{offset}"), 0)
}

/// Asks until the database answers. What is known of records of partitions that begin `anew`, as their topic was made
/// again, is of records that are gone.
pub(super) async fn load(shared: Arc<Shared>, partitions: Vec<i32>, anew: Vec<i32>) {
    let mut outage = Outage::new(format!(
        "queue `{}`: what the database knows of it",
        shared.queue
    ));
    let rows = loop {
        match shared
            .db
            .reader()
            .deaths("kafka", shared.name.as_str())
            .await
        {
            Ok(rows) => break rows,
            Err(cause) => tokio::time::sleep(outage.failed(cause)).await,
        }
    };
    outage.passed();
    let now = Instant::now();
    let mut charged = by_partition(&rows, now);
    let gone: Vec<OutsideId> = anew
        .iter()
        .filter_map(|partition| Some((*partition, charged.remove(partition)?)))
        .flat_map(|(partition, records)| records.into_keys().map(move |offset| (partition, offset)))
        .filter_map(|(partition, offset)| outside(&identity(&shared.name, partition, offset)))
        .collect();
    if !gone.is_empty()
        && let Err(cause) = shared.db.forget_deaths(gone).await
    {
        log::debug!(
            "queue `{}`: attempts of a topic that is gone stay: {cause}",
            shared.queue
        );
    }
    shared.board().charge(charged, &partitions, now);
}

fn by_partition(rows: &[OutsideDeath], now: Instant) -> HashMap<i32, HashMap<i64, Charged>> {
    let mut all: HashMap<i32, HashMap<i64, Charged>> = HashMap::new();
    for row in rows {
        let Some((partition, offset)) = row.id.split_once('/') else {
            continue;
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            continue;
        };
        let wait = Duration::from_millis(u64::try_from(row.wait_ms).unwrap_or(0));
        let charged = Charged {
            attempts: row.attempts,
            suspect: row.suspect,
            due: now + wait,
        };
        all.entry(partition).or_default().insert(offset, charged);
    }
    all
}

/// Notes which attempts failed; those of records that others have finished mean nothing. Where the database does not
/// answer in time the attempt is known to this process only: consuming goes on without the database.
pub(super) async fn note_failures(shared: &Shared, ends: &[Settled]) {
    let failures: Vec<FailedAttempt> = {
        let mut board = shared.board();
        let failed = ends.iter().filter_map(|Settled { receipt, end }| {
            let End::Retry(wait) = end else {
                return None;
            };
            let attempt = board.note_failure(receipt)?;
            let partition = i32::try_from(receipt.fence).ok()?;
            Some(FailedAttempt {
                message: outside(&identity(&shared.name, partition, receipt.id))?,
                attempt,
                wait_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX),
            })
        });
        failed.collect()
    };
    if failures.is_empty() {
        return;
    }
    let noted = tokio::time::timeout(NOTE_PATIENCE, shared.db.note_failures(failures)).await;
    let mut outage = shared.noting();
    match noted {
        Ok(Ok(())) => outage.passed(),
        Ok(Err(cause)) => drop(outage.failed(cause)),
        Err(_) => drop(outage.failed("the database does not answer")),
    }
}

/// The brokers know of these positions: deaths and failures of records before them need not be known any more. Not before that: a
/// process that ends in between would begin to count anew.
pub(super) fn committed(shared: &Arc<Shared>, positions: &[(i32, i64)]) {
    let mut ids: Vec<OutsideId> = Vec::new();
    {
        let mut board = shared.board();
        for (partition, position) in positions {
            let passed = board.committed(*partition, *position);
            let passed = passed
                .into_iter()
                .map(|offset| identity(&shared.name, *partition, offset));
            ids.extend(passed.filter_map(|identity| outside(&identity)));
        }
    }
    if ids.is_empty() {
        return;
    }
    let (db, queue) = (shared.db.clone(), Arc::clone(&shared.queue));
    // The end waits for it: the last commit comes shortly before DbActor is stopped.
    let order = shared.forgetting();
    shared.home.spawn(async move {
        let _order = order;
        // The rows that stay mean nothing any more, and are trimmed in time.
        if let Err(cause) = db.forget_deaths(ids).await {
            log::debug!("queue `{queue}`: counted deaths of finished records stay: {cause}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::slots::Kind;

    #[test]
    fn ids_are_a_partition_and_an_offset() {
        let now = Instant::now();
        let row = |id: &str, attempts, wait_ms| OutsideDeath {
            id: id.to_owned(),
            attempts,
            suspect: attempts == 0,
            wait_ms,
        };
        let rows = [
            row("3/7", 2, 1500),
            row("3/9", 0, 0),
            row("x/1", 1, 0),
            row("4", 1, 0),
        ];
        let all = by_partition(&rows, now);
        assert_eq!(all.len(), 1);
        let due = now + Duration::from_millis(1500);
        let failed = Charged {
            attempts: 2,
            suspect: false,
            due,
        };
        assert_eq!(all[&3][&7], failed);
        assert_eq!(
            all[&3][&9],
            Charged {
                attempts: 0,
                suspect: true,
                due: now
            }
        );
        let name = QueueName::new(Kind::Kafka, "t/default/g");
        assert_eq!(identity(&name, 3, 7).id(), "3/7");
    }
}
