//! The statements of one transaction: writes of one kind are gathered into statements of many rows.

use diesel::QueryResult;
use diesel::result::Error;

use super::claims::Acceptance;
use super::dialect::Connection;
use super::{
    boots, cron, daemon_orders, dead, deaths, entries, hasten, idempotency, messages, notices,
    orders, permits, replay, retention, task_orders, tasks, warnings,
};
use crate::store::statements::{Step, steps};
use crate::store::warnings::CountAdd;
use crate::store::write::{Settlement, Write, Written};

/// A step that failed.
pub(super) struct Stopped {
    pub(super) error: Error,
    /// The writes that it was about.
    pub(super) places: Vec<usize>,
}

/// The answers, in the order of the writes.
pub(super) async fn apply(
    connection: &mut Connection,
    writes: &[Write],
) -> Result<Vec<Written>, Stopped> {
    let mut answers: Vec<(usize, Written)> = Vec::with_capacity(writes.len());
    for step in steps(writes).into_iter().flat_map(Step::into_smallest) {
        let made = make(connection, writes, &step).await;
        let stopped = |error| Stopped {
            error,
            places: step.places(),
        };
        answers.append(&mut made.map_err(stopped)?);
    }
    answers.sort_unstable_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, written)| written).collect())
}

/// Each answer with the place of its write.
async fn make(
    connection: &mut Connection,
    writes: &[Write],
    step: &Step<'_>,
) -> QueryResult<Vec<(usize, Written)>> {
    Ok(match step {
        Step::InsertTasks(rows) => {
            let ids = tasks::insert(connection, rows.items()).await?;
            let shares = rows.share_out(ids);
            shares.map(|(at, ids)| (at, Written::Ids(ids))).collect()
        }
        Step::InsertMessages(rows) => {
            let ids = messages::insert(connection, rows.items()).await?;
            let shares = rows.share_out(ids);
            shares.map(|(at, ids)| (at, Written::Ids(ids))).collect()
        }
        Step::EndTasks { owner, ends } => {
            let acceptance = tasks::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares.map(|(at, ends)| (at, settlement(ends))).collect()
        }
        Step::EndMessages { owner, ends } => {
            let acceptance = messages::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares.map(|(at, ends)| (at, settlement(ends))).collect()
        }
        Step::AddCounts(places) => {
            let adds: Vec<&CountAdd> = places
                .iter()
                .filter_map(|at| match &writes[*at] {
                    Write::AddCount(add) => Some(&**add),
                    _ => None,
                })
                .collect();
            let counted = warnings::add(connection, &adds).await?;
            let counted = counted.into_iter().map(Written::Counted);
            places.iter().copied().zip(counted).collect()
        }
        Step::Singles(places) => {
            let mut answers = Vec::with_capacity(places.len());
            for at in places {
                answers.push((*at, one(connection, &writes[*at]).await?));
            }
            answers
        }
    })
}

fn settlement(ends: Vec<(i64, Acceptance)>) -> Written {
    let mut settlement = Settlement::default();
    for (id, acceptance) in ends {
        match acceptance {
            Acceptance::Counts => {}
            Acceptance::Stale => settlement.stale.push(id),
            Acceptance::Held => settlement.held.push(id),
        }
    }
    Written::Settlement(settlement)
}

/// What is not gathered.
async fn one(connection: &mut Connection, write: &Write) -> QueryResult<Written> {
    match write {
        Write::BeginBoot(row) => boots::begin(connection, row).await,
        Write::EndBoot { owner } => boots::end(connection, owner).await,
        Write::ReapSilent { me, as_of_ms } => boots::reap_silent(connection, me, *as_of_ms).await,
        Write::ReapGone { owner, charges } => boots::reap_gone(connection, owner, charges).await,
        Write::GiveBackTasks { owner, keep } => {
            tasks::give_back_except(connection, owner, keep).await
        }
        Write::ClaimTasks {
            owner,
            from_s,
            until_s,
            most,
        } => tasks::claim(connection, owner, *from_s, *until_s, *most).await,
        Write::TrimTasks { before_s } => tasks::trim(connection, *before_s).await,
        Write::TrimCrontabLog {
            before_ms,
            after_id,
        } => retention::trim_crontab_log(connection, *before_ms, *after_id).await,
        Write::TrimDeadLetters {
            before_ms,
            after_id,
        } => retention::trim_dead_letters(connection, *before_ms, *after_id).await,
        Write::HastenMessages { queue, longest_ms } => {
            hasten::messages(connection, queue, *longest_ms).await
        }
        Write::HastenTasks { ids, after_s } => hasten::tasks(connection, ids, *after_s).await,
        Write::ClaimMessages { queue, owner, most } => {
            messages::claim(connection, queue, owner, *most).await
        }
        Write::GiveBackMessages { queue, owner, keep } => {
            messages::give_back_except(connection, queue, owner, keep).await
        }
        Write::InsertDeadLetters { dead_letters } => {
            dead::insert_all(connection, dead_letters).await
        }
        Write::ReplayDeadLetters {
            dead_letters,
            order,
        } => replay::replay(connection, dead_letters, order.as_deref()).await,
        Write::DeleteDeadLetters { ids, order } => {
            replay::delete(connection, ids, order.as_deref()).await
        }
        Write::NoteFailures { failures } => deaths::note_failures(connection, failures).await,
        Write::ForgetDeaths { ids } => deaths::forget(connection, ids).await,
        Write::SyncEntries { partition, entries } => {
            entries::sync(connection, partition, entries).await
        }
        Write::ClaimFire(fire) => cron::claim_fire(connection, fire).await,
        Write::TakeFire {
            uk,
            from,
            owner,
            at_overlap,
        } => cron::take_fire(connection, uk, from, owner, at_overlap).await,
        Write::RunStarted {
            uk,
            pid,
            start_ticks,
        } => cron::run_started(connection, uk, *pid, *start_ticks).await,
        Write::EndRun(end) => cron::end_run(connection, end).await,
        Write::TrimAudit { before_ms } => retention::trim_audit(connection, *before_ms).await,
        Write::TrimRuns { before_ms } => entries::trim_runs(connection, *before_ms).await,
        Write::SendNotices { owner, environment } => {
            notices::send(connection, owner, environment).await
        }
        Write::ClaimNotices(claim) => notices::claim(connection, claim).await,
        Write::EndNotices { owner, ids } => notices::end(connection, owner, ids).await,
        Write::TrimWindows => warnings::trim(connection).await,
        Write::TrimNotices => notices::trim(connection).await,
        Write::SetPause(order) => orders::set_pause(connection, order).await,
        Write::OrderTask(order) => task_orders::order(connection, order).await,
        Write::Audit(order) => orders::write_down(connection, order).await,
        Write::GiveOrders(orders) => daemon_orders::give(connection, orders).await,
        Write::TakeOrder { id, from, owner } => {
            daemon_orders::take(connection, *id, from, owner).await
        }
        Write::EndOrder(end) => daemon_orders::end(connection, end).await,
        Write::TrimOrders { before_ms } => daemon_orders::trim(connection, *before_ms).await,
        Write::InsertKeyed(insert) => idempotency::insert(connection, insert).await,
        Write::ClaimKey(claim) => idempotency::claim(connection, claim).await,
        Write::EndKey { key, owner, end } => idempotency::end(connection, key, owner, *end).await,
        Write::TrimKeys { before_ms } => idempotency::trim(connection, *before_ms).await,
        Write::TakePermits(ask) => permits::take(connection, ask).await,
        Write::AddCount(_)
        | Write::InsertTasks { .. }
        | Write::InsertMessages { .. }
        | Write::EndTasks { .. }
        | Write::EndMessages { .. } => unreachable!("gathered by `steps`"),
    }
}
