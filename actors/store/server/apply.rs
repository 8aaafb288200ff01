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
use crate::store::write::{Listed, Settlement, Write, Written};

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
            shares
                .map(|(at, ids)| (at, Written::InsertTasks(ids)))
                .collect()
        }
        Step::InsertMessages(rows) => {
            let ids = messages::insert(connection, rows.items()).await?;
            let shares = rows.share_out(ids);
            shares
                .map(|(at, ids)| (at, Written::InsertMessages(ids)))
                .collect()
        }
        Step::EndTasks { owner, ends } => {
            let acceptance = tasks::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares
                .map(|(at, ends)| (at, Written::EndTasks(settlement(ends))))
                .collect()
        }
        Step::EndMessages { owner, ends } => {
            let acceptance = messages::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares
                .map(|(at, ends)| (at, Written::EndMessages(settlement(ends))))
                .collect()
        }
        Step::AddCounts(adds) => {
            let (places, adds): (Vec<usize>, Vec<&CountAdd>) = adds.iter().copied().unzip();
            let counted = warnings::add(connection, &adds).await?;
            let counted = counted.into_iter().map(Written::AddCount);
            places.into_iter().zip(counted).collect()
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

fn settlement(ends: Vec<(i64, Acceptance)>) -> Settlement {
    let mut settlement = Settlement::default();
    for (id, acceptance) in ends {
        match acceptance {
            Acceptance::Counts => {}
            Acceptance::Stale => settlement.stale.push(id),
            Acceptance::Held => settlement.held.push(id),
        }
    }
    settlement
}

/// What is not gathered.
async fn one(connection: &mut Connection, write: &Write) -> QueryResult<Written> {
    Ok(match write {
        Write::BeginBoot(write) => write.answer(boots::begin(connection, &write.0).await?),
        Write::EndBoot(write) => write.answer(boots::end(connection, write).await?),
        Write::ReapSilent(write) => write.answer(boots::reap_silent(connection, write).await?),
        Write::ReapGone(write) => write.answer(boots::reap_gone(connection, write).await?),
        Write::ClaimTasks(write) => write.answer(tasks::claim(connection, write).await?),
        Write::ReleaseTasks(write) => write.answer(tasks::release_except(connection, write).await?),
        Write::HastenTasks(write) => write.answer(hasten::tasks(connection, write).await?),
        Write::OrderTask(write) => write.answer(task_orders::order(connection, &write.0).await?),
        Write::TrimTasks(write) => write.answer(tasks::trim(connection, write).await?),
        Write::ClaimMessages(write) => write.answer(messages::claim(connection, write).await?),
        Write::ReleaseMessages(write) => {
            write.answer(messages::release_except(connection, write).await?)
        }
        Write::HastenMessages(write) => write.answer(hasten::messages(connection, write).await?),
        Write::InsertDeadLetters(write) => write.answer(dead::insert_all(connection, write).await?),
        Write::ReplayDeadLetters(write) => write.answer(replay::replay(connection, write).await?),
        Write::DeleteDeadLetters(write) => write.answer(replay::delete(connection, write).await?),
        Write::TrimDeadLetters(write) => {
            write.answer(retention::trim_dead_letters(connection, write).await?)
        }
        Write::NoteFailures(write) => write.answer(deaths::note_failures(connection, write).await?),
        Write::ForgetDeaths(write) => write.answer(deaths::forget(connection, write).await?),
        Write::SyncEntries(write) => write.answer(entries::sync(connection, write).await?),
        Write::ClaimFire(write) => write.answer(cron::claim_fire(connection, &write.0).await?),
        Write::TakeFire(write) => write.answer(cron::take_fire(connection, write).await?),
        Write::RunStarted(write) => write.answer(cron::run_started(connection, write).await?),
        Write::EndRun(write) => write.answer(cron::end_run(connection, &write.0).await?),
        Write::TrimRuns(write) => write.answer(entries::trim_runs(connection, write).await?),
        Write::TrimCrontabLog(write) => {
            write.answer(retention::trim_crontab_log(connection, write).await?)
        }
        Write::SendNotices(write) => write.answer(notices::send(connection, write).await?),
        Write::ClaimNotices(write) => write.answer(notices::claim(connection, &write.0).await?),
        Write::EndNotices(write) => write.answer(notices::end(connection, write).await?),
        Write::TrimWindows(write) => write.answer(warnings::trim(connection).await?),
        Write::TrimNotices(write) => write.answer(notices::trim(connection).await?),
        Write::SetPause(write) => write.answer(orders::set_pause(connection, &write.0).await?),
        Write::Audit(write) => write.answer(orders::write_down(connection, &write.0).await?),
        Write::GiveOrders(write) => write.answer(daemon_orders::give(connection, &write.0).await?),
        Write::TakeOrder(write) => write.answer(daemon_orders::take(connection, write).await?),
        Write::EndOrder(write) => write.answer(daemon_orders::end(connection, &write.0).await?),
        Write::TrimOrders(write) => write.answer(daemon_orders::trim(connection, write).await?),
        Write::TrimAudit(write) => write.answer(retention::trim_audit(connection, write).await?),
        Write::InsertKeyed(write) => write.answer(idempotency::insert(connection, &write.0).await?),
        Write::ClaimKey(write) => write.answer(idempotency::claim(connection, &write.0).await?),
        Write::EndKey(write) => write.answer(idempotency::end(connection, write).await?),
        Write::TrimKeys(write) => write.answer(idempotency::trim(connection, write).await?),
        Write::TakePermits(write) => write.answer(permits::take(connection, &write.0).await?),
        Write::AddCount(_)
        | Write::InsertTasks(_)
        | Write::InsertMessages(_)
        | Write::EndTasks(_)
        | Write::EndMessages(_) => unreachable!("gathered by `steps`"),
    })
}
