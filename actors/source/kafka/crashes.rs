//! Counts, in the database, the failed attempts of records and the crashes of their handlers.
//!
//! A failed attempt is durable before its record may run again, on any member: so attempts run out although partitions move
//! and daemons restart. Records that do not fail cost nothing: rows are written for failures only, and deleted once the
//! position has passed them.
//!
//! The counts are read before any record of a partition is given out. That is late enough for crashes: the daemon that
//! finds a dead daemon's slots records its crashes within a second, and the group reassigns the partitions only after the
//! session is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::partition::EarlierAttempts;
use super::shared::Shared;
use crate::db::ReadOutage;
use crate::job::Disposition;
use crate::poison::{Identity, QueueName};
use crate::source::{Settled, outside};
use crate::store::rows::{FailedAttempt, OutsideDeath, OutsideId};
use crate::store::write::{ForgetDeaths, NoteFailures};

/// The longest that a failed record waits for the database, beside its back-off.
const NOTE_PATIENCE: Duration = Duration::from_secs(2);

/// The identity of a record in its slot.
pub(super) fn identity(
    name: &QueueName,
    (partition, offset): (i32, i64),
    topic_fence: i64,
) -> Identity<'_> {
    name.message(format!("{partition}/{offset}"), topic_fence)
}

/// The names of a record's rows: the present one, and the one that processes without the topic's id use.
fn row_names(shared: &Shared, record: (i32, i64)) -> impl Iterator<Item = OutsideId> {
    let mut fences = vec![shared.topic_fence(), 0];
    fences.dedup();
    let name = shared.name.clone();
    fences
        .into_iter()
        .filter_map(move |fence| outside(&identity(&name, record, fence)))
}

/// Reads the counts, and tries until the database answers. Rows of a deleted topic of this name belong to records that are
/// gone. So do rows without a topic id, of partitions that begin `anew`.
pub(super) async fn load(shared: Arc<Shared>, partitions: Vec<i32>, anew: Vec<i32>) {
    let reading = format!("queue `{}`: the reading of its attempts", shared.queue);
    let ask = || shared.db.reader().deaths("kafka", shared.name.as_str());
    let rows = ReadOutage::until_answered(&shared.db, reading, ask).await;
    let now = Instant::now();
    let (earlier, gone) = by_partition(&rows, &anew, shared.topic_fence(), now);
    let gone: Vec<OutsideId> = gone
        .into_iter()
        .map(|id| OutsideId {
            kind: "kafka",
            source: shared.name.as_str().to_owned(),
            id,
        })
        .collect();
    if !gone.is_empty()
        && let Err(cause) = shared.db.write(ForgetDeaths { ids: gone }).await
    {
        log::debug!(
            "queue `{}`: attempts of a topic that is gone stay: {cause}",
            shared.queue
        );
    }
    shared
        .assignments()
        .set_earlier_attempts(earlier, &partitions, now);
}

type ByPartition = HashMap<i32, HashMap<i64, EarlierAttempts>>;

/// The counts, and the ids of rows of records that are gone.
fn by_partition(
    rows: &[OutsideDeath],
    anew: &[i32],
    topic_fence: i64,
    now: Instant,
) -> (ByPartition, Vec<String>) {
    let (mut all, mut gone) = (ByPartition::new(), Vec::new());
    for row in rows {
        let Some(((partition, offset), fence)) = record_of(&row.id) else {
            continue;
        };
        let is_gone = match fence {
            // Rows of earlier versions carry no topic id.
            0 => anew.contains(&partition),
            of => topic_fence != 0 && of != topic_fence,
        };
        if is_gone {
            gone.push(row.id.clone());
            continue;
        }
        let wait = Duration::from_millis(u64::try_from(row.wait_ms).unwrap_or(0));
        let earlier = EarlierAttempts {
            attempts: row.attempts,
            suspect: row.suspect,
            due: now + wait,
        };
        let of_partition = all.entry(partition).or_default();
        let known = of_partition.entry(offset).or_insert(earlier);
        // A row of an earlier version, and one of this version.
        *known = EarlierAttempts {
            attempts: known.attempts.max(earlier.attempts),
            suspect: known.suspect || earlier.suspect,
            due: known.due.max(earlier.due),
        };
    }
    (all, gone)
}

/// Partition and offset, and the topic; see [`outside`].
fn record_of(id: &str) -> Option<((i32, i64), i64)> {
    let (place, fence) = match id.split_once('@') {
        Some((place, fence)) => (place, u64::from_str_radix(fence, 16).ok()?.cast_signed()),
        None => (id, 0),
    };
    let (partition, offset) = place.split_once('/')?;
    Some(((partition.parse().ok()?, offset.parse().ok()?), fence))
}

/// Writes the failed attempts. Those of records that other members have finished are ignored. Where the database does not
/// answer in time, only this process knows of the attempt: consuming goes on without the database.
pub(super) async fn note_failures(shared: &Shared, ends: &[Settled]) {
    let failures: Vec<FailedAttempt> = {
        let mut assignments = shared.assignments();
        let failed = ends.iter().filter_map(|settled| {
            let Disposition::Retry(wait) = &settled.disposition else {
                return None;
            };
            let receipt = settled.receipt.of_kafka();
            let attempt = assignments.note_failure(receipt)?;
            let record = (receipt.partition, receipt.offset);
            Some(FailedAttempt {
                message: outside(&identity(&shared.name, record, shared.topic_fence()))?,
                attempt,
                wait_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX),
            })
        });
        failed.collect()
    };
    if failures.is_empty() {
        return;
    }
    let note = shared.db.write(NoteFailures { failures });
    let noted = tokio::time::timeout(NOTE_PATIENCE, note).await;
    let mut outage = shared.noting();
    match noted {
        Ok(Ok(())) => outage.passed(),
        Ok(Err(cause)) => drop(outage.failed(cause)),
        Err(_) => drop(outage.failed("the database does not answer")),
    }
}

/// Deletes the counts of records before positions that the brokers have. Not earlier, as after a crash in between they
/// would be counted from zero.
pub(super) fn committed(shared: &Arc<Shared>, positions: &[(i32, i64)]) {
    let mut ids: Vec<OutsideId> = Vec::new();
    {
        let mut assignments = shared.assignments();
        for (partition, position) in positions {
            let passed = assignments.committed(*partition, *position);
            let names = |offset| row_names(shared, (*partition, offset));
            ids.extend(passed.into_iter().flat_map(names));
        }
    }
    forget_ids(shared, ids);
}

/// Deletes the counts of records that are gone: their partition has others at these offsets.
pub(super) fn forget(shared: &Arc<Shared>, partition: i32, offsets: Vec<i64>) {
    let names = |offset| row_names(shared, (partition, offset));
    forget_ids(shared, offsets.into_iter().flat_map(names).collect());
}

fn forget_ids(shared: &Arc<Shared>, ids: Vec<OutsideId>) {
    if ids.is_empty() {
        return;
    }
    let (db, queue) = (shared.db.clone(), Arc::clone(&shared.queue));
    // The end of the member waits for the write: the last commit comes shortly before DbActor is stopped.
    let order = shared.forgetting();
    shared.home.spawn(async move {
        let _order = order;
        // Rows that stay have no effect, and retention deletes them.
        if let Err(cause) = db.write(ForgetDeaths { ids }).await {
            log::debug!("queue `{queue}`: counted deaths of finished records stay: {cause}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poison::Kind;

    const TOPIC: i64 = -7;

    fn row(id: &str, attempts: u32, wait_ms: i64) -> OutsideDeath {
        OutsideDeath {
            id: id.to_owned(),
            attempts,
            suspect: attempts == 0,
            wait_ms,
        }
    }

    #[test]
    fn ids_are_a_partition_and_an_offset_and_a_topic() {
        let now = Instant::now();
        let name = QueueName::new(Kind::Kafka, "t/default/g");
        let id = |fence| outside(&identity(&name, (3, 7), fence)).unwrap().id;
        assert_eq!((&*id(0), &*id(TOPIC)), ("3/7", "3/7@fffffffffffffff9"));
        let rows = [
            row(&id(TOPIC), 2, 1500),
            row("3/9", 0, 0),
            row("x/1", 1, 0),
            row("4", 1, 0),
            row("3/7@x", 1, 0),
        ];
        let (all, gone) = by_partition(&rows, &[], TOPIC, now);
        assert!(gone.is_empty());
        assert_eq!(all.len(), 1);
        let failed = EarlierAttempts {
            attempts: 2,
            suspect: false,
            due: now + Duration::from_millis(1500),
        };
        assert_eq!(all[&3][&7], failed);
        let suspect = EarlierAttempts {
            attempts: 0,
            suspect: true,
            due: now,
        };
        assert_eq!(all[&3][&9], suspect);
    }

    #[test]
    fn rows_of_another_topic_are_of_records_that_are_gone() {
        let rows = [
            row("0/1@0000000000000005", 2, 0),
            row("0/2@fffffffffffffff9", 2, 0),
            row("0/3", 2, 0),
            row("1/4", 2, 0),
        ];
        let gone = |anew: &[i32], topic| by_partition(&rows, anew, topic, Instant::now()).1;
        assert_eq!(gone(&[], TOPIC), ["0/1@0000000000000005"]);
        assert_eq!(gone(&[0], TOPIC), ["0/1@0000000000000005", "0/3"]);
        assert_eq!(gone(&[], 0), [""; 0], "the brokers give no topic id");
    }

    #[test]
    fn a_row_of_an_earlier_version_counts_beside_one_of_this() {
        let rows = [row("0/1", 3, 0), row("0/1@fffffffffffffff9", 1, 9)];
        let (all, _) = by_partition(&rows, &[], TOPIC, Instant::now());
        assert_eq!(all[&0][&1].attempts, 3);
    }
}
