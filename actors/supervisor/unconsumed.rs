//! Logs messages that no entry consumes, at the start and after a reload that removed an entry. Replayed dead letters
//! whose entry is gone become dead letters again.

use std::sync::Arc;
use std::time::Duration;

use super::Plan;
use crate::job::Disposition;
use crate::source::{
    Delivery, RedisFault, RedisServer, Settled, Source, SourceError, TableSource, Unconsumed,
    unconsumed,
};
use crate::store::Most;
use crate::store::rows::{COUNT_CAP, EntryName};
use crate::task::caught;

/// Dead letters in one claim, and their bytes.
const PORTION: Most = Most {
    count: 500,
    bytes: 16 << 20,
};
/// Between two steps through the keys of a Redis server: a hundredth of its time at most.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// Heartbeats after which other daemons that started with this one are known on their servers.
const REGISTERED_AFTER: u32 = 3;
/// Between two polls for replays that are due later, and between two attempts at a server that is away.
const LATER: Duration = Duration::from_secs(30);
/// Between two tries, and where another transaction holds the rows.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries at a database that does not answer; its outage is logged elsewhere.
const TRIES: u32 = 30;

/// To be spawned once the boot is known.
pub(super) async fn report(plan: Arc<Plan>) {
    if let Err(panic) = caught(poll(&plan)).await {
        log::error!("the search for messages that no entry consumes panicked: {panic}");
    }
}

async fn poll(plan: &Arc<Plan>) {
    for (name, server) in &plan.redis {
        let lists = search_lists(Arc::clone(plan), name.clone(), Arc::clone(server));
        actix_rt::spawn(lists);
    }
    for _ in 0..TRIES {
        match unconsumed(plan.db.reader(), &plan.consumed).await {
            Ok(found) => return found.into_iter().for_each(|one| handle(plan, one)),
            Err(cause) => {
                log::debug!("messages that no entry consumes cannot be searched for: {cause}")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn handle(plan: &Arc<Plan>, found: Unconsumed) {
    if let Some(entry) = found.dead_letters_of {
        actix_rt::spawn(keep_dead_letters(Arc::clone(plan), found.source, entry));
        return;
    }
    let more = if found.waiting > COUNT_CAP {
        "more than "
    } else {
        ""
    };
    log::warn!(
        "{more}{} messages lie in `{}`, and nobody consumes them: {}",
        found.waiting.min(COUNT_CAP),
        found.source,
        found.why
    );
}

/// Until none is left: those that had failed before are due later.
async fn keep_dead_letters(plan: Arc<Plan>, table: String, entry: String) {
    loop {
        // A reload may have brought it back.
        let now = plan.http.state.queue(&entry);
        if now.is_some_and(|queue| queue.facts().kind != "table") {
            return;
        }
        match bring_back(&plan, &table, &entry).await {
            Ok(0) => {}
            Ok(dead_letters) => log::warn!(
                "{dead_letters} replayed dead letters of the entry `{entry}` are dead letters again, as no entry of this name consumes \
                 them: `dead list` has them, and `dead replay` runs them through the entry that has their topic, list or name"
            ),
            Err(cause) => log::debug!("replayed dead letters in `{table}`: {cause}"),
        }
        let left = plan.db.reader().queue_lags(vec![(table.clone(), 1)]).await;
        if left.is_ok_and(|left| left == [0]) {
            return;
        }
        tokio::time::sleep(LATER).await;
    }
}

async fn search_lists(plan: Arc<Plan>, name: String, server: Arc<RedisServer>) {
    let consumed = plan.lists.get(&name).cloned().unwrap_or_default();
    // Others that start with us have registered by then.
    let interval = Duration::from_millis(plan.boot.interval_ms.unsigned_abs());
    tokio::time::sleep(interval * REGISTERED_AFTER).await;
    loop {
        match server.unconsumed(&consumed, STEP_PAUSE).await {
            Ok(found) => {
                for list in found {
                    let waiting = list.waiting.map_or("some".to_owned(), |n| n.to_string());
                    log::warn!(
                        "redis `{name}`: {waiting} messages lie in and beside the list `{}`, and nobody consumes them: {}",
                        list.key,
                        list.why()
                    );
                }
                return;
            }
            Err(RedisFault::Refused(why)) => {
                log::info!(
                    "redis `{name}` cannot be searched for lists that no entry consumes: {why}"
                );
                return;
            }
            // The parts that need the server log its outage.
            Err(RedisFault::Away(why)) => log::debug!("redis `{name}`: {why}"),
        }
        tokio::time::sleep(LATER).await;
    }
}

/// Ends each as a message whose last attempt has failed: its dead letter is written and its row deleted in one
/// transaction, and a claim that is lost on the way is released like any other. Answers how many.
async fn bring_back(plan: &Plan, table: &str, entry: &str) -> Result<usize, SourceError> {
    let name = EntryName {
        name: entry.to_owned(),
        exec_cmd: String::new(),
    };
    let owner = plan.boot.owner.clone();
    let liveness = Arc::clone(&plan.liveness);
    let rows = TableSource::new(plan.db.clone(), owner, liveness, table, name);
    let mut dead_letters = 0;
    loop {
        // This source is local to this function: no consumer polls it.
        let found = rows.poll_once(PORTION).await?.unwrap_or_default();
        if found.is_empty() {
            return Ok(dead_letters);
        }
        dead_letters += found.len();
        let mut ends: Vec<Settled> = found.iter().map(dead).collect();
        while !ends.is_empty() {
            ends = rows.settle(ends).await?;
            if !ends.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn dead(dead_letter: &Delivery) -> Settled {
    Settled {
        receipt: dead_letter.receipt,
        disposition: Disposition::DeadLetter {
            error: "it was replayed, and its entry was renamed or removed before it ran".to_owned(),
            attempts: dead_letter.message.attempt.saturating_sub(1),
        },
    }
}
