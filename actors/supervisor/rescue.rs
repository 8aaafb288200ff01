//! Finds daemons of this machine that died, and releases at once what they owned.
//!
//! The lock of a slot file shows at once that its daemon died, three heartbeat intervals before the missing heartbeats
//! would; the slots show which handler ended the process. Heartbeats are for other machines.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Plan;
use crate::config::RetryRules;
use crate::poison::{DeadFile, Death, Identity, Kind, dead_files};
use crate::source::{OutsideCrash, Recovery, SourceError, outside};
use crate::store::rows::{Crash, EntryName, OutsideId, Victim};
use crate::store::write::ReapGone;

/// A slot file of a boot that this database does not know is deleted when it is this old: a week, as long as `boot`
/// keeps its rows.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Pause between two attempts to recover a dead boot's messages at a server that is away.
const RECOVER_AGAIN: Duration = Duration::from_secs(1);

/// Scans the slot files once. Called at the start and with every heartbeat.
pub(super) async fn scan(plan: &Arc<Plan>) {
    plan.slots.note_heartbeat();
    let data_dir = plan.data_dir.clone();
    let found = actix_rt::task::spawn_blocking(move || dead_files(&data_dir)).await;
    let files = match found {
        Ok(Ok(files)) => files,
        Ok(Err(cause)) => {
            log::warn!(
                "the slot files of daemons that died on this machine cannot be read: {cause}"
            );
            return;
        }
        Err(_) => return,
    };
    for file in files {
        rescue(plan, file).await;
    }
}

async fn rescue(plan: &Arc<Plan>, file: DeadFile) {
    let owner = format!("{}/{}", file.partition, file.boot);
    let recovery = recovery(&file);
    let recovered = recover(plan, &recovery).await;
    let mut crashes = Vec::new();
    for (identity, death) in file
        .deaths
        .iter()
        .filter(|(id, _)| id.kind() != Kind::Redis)
    {
        match crash(plan, identity, death).await {
            Some(crash) => crashes.push(Crash {
                certain: file.deaths.len() == 1,
                ..crash
            }),
            None => log::error!("a slot names `{}`, which is none of ours", identity.id()),
        }
    }

    let mut victims: Vec<(String, String)> = crashes
        .iter()
        .map(|crash| (shown(&crash.victim), crash.how.clone()))
        .collect();
    for death in &recovery.deaths {
        let shown = format!("redis list `{}`: message {}", death.source, death.id);
        victims.push((shown, death.how.clone()));
    }
    let reap = ReapGone {
        owner: owner.clone(),
        crashes,
    };
    match plan.db.write(reap).await {
        // A daemon with another database and the same directory, or one that died before its first write.
        Ok(reaped) if reaped.boots.is_empty() => {
            if file.is_older_than(FORGOTTEN) {
                file.remove();
            }
        }
        Ok(reaped) => {
            for (victim, how) in &victims {
                log::error!("{victim} ended the process that ran it ({how})");
            }
            log::warn!(
                "the daemon {owner} had died with {} jobs in flight: {} messages and {} delayed tasks released, {} crashes recorded, {} dead letters",
                file.in_flight.len(),
                reaped.messages,
                reaped.tasks,
                reaped.crashes,
                reaped.dead_letters.len()
            );
            match recovered {
                Ok(()) => file.remove(),
                Err(_) => recover_later(plan, file, recovery),
            }
        }
        // The file is still there, and the next scan finds it again; each crash counts once.
        Err(cause) => {
            log::warn!("the rows of the dead daemon {owner} are not released yet: {cause}")
        }
    }
}

/// The death of a daemon, as queues outside of its database get it.
fn recovery(file: &DeadFile) -> Recovery {
    let outside = file
        .deaths
        .iter()
        .filter(|(identity, _)| identity.kind() == Kind::Redis);
    let deaths = outside.map(|(identity, death)| OutsideCrash {
        source: identity.queue().to_owned(),
        id: identity.id().to_owned(),
        attempt: u32::try_from(identity.fence()).unwrap_or(1),
        certain: file.deaths.len() == 1,
        how: death.to_string(),
    });
    Recovery {
        boot: file.boot.clone(),
        deaths: deaths.collect(),
    }
}

async fn recover(plan: &Plan, recovery: &Recovery) -> Result<(), SourceError> {
    let sources = plan.pools.iter().map(|queue| &queue.pool.work.source);
    let recovered = sources.map(|source| source.recover(recovery));
    join_all(recovered).await.into_iter().collect()
}

/// Recovers in the background, so that a server that is away holds up nothing else. The slot file stays until every
/// server has recovered the boot. It stays locked, so that no other daemon judges it; if this daemon dies, the next
/// scan finds the file again.
fn recover_later(plan: &Arc<Plan>, file: DeadFile, recovery: Recovery) {
    let plan = Arc::clone(plan);
    actix_rt::spawn(async move {
        while let Err(cause) = recover(&plan, &recovery).await {
            log::debug!(
                "the dead boot {} is not recovered everywhere yet: {cause}",
                recovery.boot
            );
            tokio::time::sleep(RECOVER_AGAIN).await;
        }
        file.remove();
    });
}

fn shown(victim: &Victim) -> String {
    match victim {
        Victim::Message { id, entry } => format!("queue `{}`: message {id}", entry.name),
        Victim::Task { id, .. } => format!("delayed task {id}"),
        Victim::Outside(OutsideId { kind, source, id }) => {
            format!("{kind} queue `{source}`: message {id}")
        }
    }
}

async fn crash(plan: &Plan, identity: &Identity<'_>, death: &Death) -> Option<Crash> {
    let row = || identity.id().parse().ok();
    let (entry, rules) = entry(plan, identity);
    let (victim, rules) = match identity.kind() {
        Kind::Queue => (Victim::Message { id: row()?, entry }, rules),
        Kind::Delay => task(plan, row()?).await,
        Kind::Kafka | Kind::Redis => (Victim::Outside(outside(identity)?), rules),
    };
    Some(Crash {
        victim,
        how: death.to_string(),
        certain: true,
        max_attempts: rules.max_attempts.get(),
        backoff: rules.backoff,
    })
}

/// A queue without an entry here is another partition's: the death counts, and what it comes to is decided there.
fn entry(plan: &Plan, identity: &Identity<'_>) -> (EntryName, RetryRules) {
    let wanted = (identity.kind(), identity.queue());
    let known = plan
        .queues
        .iter()
        .find(|known| (known.kind, known.source.as_str()) == wanted);
    if let Some(known) = known {
        return (known.entry.clone(), known.rules);
    }
    let entry = EntryName {
        name: identity.queue().to_owned(),
        exec_cmd: String::new(),
    };
    let rules = RetryRules {
        max_attempts: NonZeroU32::MAX,
        ..RetryRules::default()
    };
    (entry, rules)
}

async fn task(plan: &Plan, id: i64) -> (Victim, RetryRules) {
    let exec_cmd = plan.db.reader().task_command(id).await.ok().flatten();
    let rules = exec_cmd
        .as_ref()
        .map(|exec_cmd| plan.delay.rules_of(exec_cmd).retry);
    let exec_cmd = exec_cmd.unwrap_or_default();
    (Victim::Task { id, exec_cmd }, rules.unwrap_or_default())
}

/// Rows that the Go program is running, or left behind, are not ours to take over; a person should know of them.
pub(super) async fn note_foreign(plan: &Plan) {
    match plan.db.reader().foreign_running().await {
        Ok(0) => {}
        Ok(rows) => log::warn!(
            "{rows} delayed tasks are in status 2 without an owner: another program's, which are left alone"
        ),
        Err(cause) => log::warn!("delayed tasks of other programs cannot be counted: {cause}"),
    }
}
