//! Carries out an order about dead letters: a portion at a time, each in one transaction with the order's row of
//! `audit`, which counts the dead letters done so far. An order that is stopped, or whose process is killed,
//! has done its portions and no half of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::edited::Edited;
use super::meant::Meant;
use super::rate::{Pace, Rate, portion};
use super::target::Targets;
use super::walk::Walk;
use crate::db::Db;
use crate::store::DbError;
use crate::store::rows::{DeadLetterHead, DeadLetterOrder, Replay};
use crate::store::write::{DeleteDeadLetters, ReplayDeadLetters};

/// Dead letters that cannot run here and are named, each with its reason.
const NAMED: usize = 20;

/// What an order does with each dead letter.
pub(crate) enum Deed {
    /// Runs it again, with another payload where it was edited.
    Replay {
        targets: Arc<Targets>,
        edited: Option<Edited>,
    },
    Purge,
}

/// What was done with the dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// By where they run.
    pub(crate) replayed: BTreeMap<String, u64>,
    pub(crate) deleted: u64,
    /// Somebody else replayed or deleted them at the same time.
    pub(crate) gone: u64,
    pub(crate) refused: u64,
    /// The first of the refused, with their reasons.
    pub(crate) reasons: Vec<Stays>,
    /// Ids that were named and not found.
    pub(crate) missing: Vec<i64>,
}

/// A dead letter that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stays {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Done {
    /// Dead letters that were replayed or deleted.
    pub(crate) fn dead_letters(&self) -> u64 {
        self.replayed.values().sum::<u64>() + self.deleted
    }

    fn refused(&mut self, dead_letter: &DeadLetterHead, reason: String) {
        self.refused += 1;
        if self.reasons.len() < NAMED {
            self.reasons.push(Stays {
                id: dead_letter.id,
                name: dead_letter.name.clone(),
                reason,
            });
        }
    }
}

/// Sees how far an order is, and stops it.
#[derive(Default)]
pub(crate) struct Watch {
    done: Mutex<Done>,
    is_stopped: AtomicBool,
    stopped: Notify,
}

impl Watch {
    /// So far.
    pub(crate) fn done(&self) -> Done {
        self.done.lock().clone()
    }

    /// The portion that is under way is the last one.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.stopped.notify_waiters();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    async fn stopped(&self) {
        // Made before the flag is read: a stop in between wakes it.
        let stopped = self.stopped.notified();
        if !self.is_stopped() {
            stopped.await;
        }
    }
}

/// Ends when all dead letters that are meant are done, or with the portion in which the order is stopped.
pub(crate) async fn carry_out(
    db: &Db,
    meant: &Meant,
    deed: &Deed,
    rate: Option<Rate>,
    mut order: DeadLetterOrder,
    watch: &Watch,
) -> Result<(), DbError> {
    let mut walk = Walk::begin(db.reader(), meant, portion(rate)).await?;
    let mut pace = Pace::begin(rate);
    while !watch.is_stopped() {
        tokio::select! {
            () = pace.wait() => {}
            () = watch.stopped() => break,
        }
        let heads = walk.next(db.reader()).await?;
        watch.done.lock().missing.append(&mut walk.missing);
        if heads.is_empty() {
            break;
        }
        let begun = match deed {
            Deed::Replay { targets, edited } => {
                replay(db, heads, targets, edited.as_ref(), &mut order, watch).await?
            }
            Deed::Purge => purge(db, heads, &mut order, watch).await?,
        };
        pace.did(begun);
    }
    Ok(())
}

/// Answers how many dead letters the portion had that can run.
async fn replay(
    db: &Db,
    heads: Vec<DeadLetterHead>,
    targets: &Targets,
    edited: Option<&Edited>,
    order: &mut DeadLetterOrder,
    watch: &Watch,
) -> Result<usize, DbError> {
    let (mut replays, mut names) = (Vec::new(), Vec::new());
    for head in heads {
        let target = targets.of(&head).and_then(|(to, name)| {
            let payload = edited
                .map(|edited| edited.for_dead_letter(&to))
                .transpose()?;
            let id = head.id;
            Ok((Replay { id, to, payload }, name))
        });
        match target {
            Ok((replay, name)) => {
                replays.push(replay);
                names.push(name);
            }
            Err(reason) => watch.done.lock().refused(&head, reason),
        }
    }
    if replays.is_empty() {
        return Ok(0);
    }
    let begun = replays.len();
    let replay = ReplayDeadLetters {
        dead_letters: replays,
        order: Some(order.clone()),
    };
    let replayed = db.write(replay).await?;
    order.before += replayed.rows.iter().flatten().count();
    order.row = replayed.audit;
    let mut done = watch.done.lock();
    for (name, row) in names.into_iter().zip(replayed.rows) {
        match row {
            Some(_) => *done.replayed.entry(name).or_default() += 1,
            None => done.gone += 1,
        }
    }
    Ok(begun)
}

async fn purge(
    db: &Db,
    heads: Vec<DeadLetterHead>,
    order: &mut DeadLetterOrder,
    watch: &Watch,
) -> Result<usize, DbError> {
    let ids: Vec<i64> = heads.into_iter().map(|head| head.id).collect();
    let begun = ids.len();
    let delete = DeleteDeadLetters {
        ids,
        order: Some(order.clone()),
    };
    let deleted = db.write(delete).await?;
    order.before += deleted.count;
    order.row = deleted.audit;
    watch.done.lock().deleted += u64::try_from(deleted.count).unwrap_or(u64::MAX);
    Ok(begun)
}
