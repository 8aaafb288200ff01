//! One write by the statements that make it. Writes of rows and their ends, and counts of warnings, are made by each
//! adapter: a server gathers many of them into one statement.

use diesel::QueryResult;

use super::dialect::{Connection, warnings};
use super::{
    boots, cron, daemon_orders, dead, deaths, entries, hasten, idempotency, messages, notices,
    orders, permits, replay, retention, task_orders, tasks,
};
use crate::store::write::{Listed, Write, Written};

pub(in crate::store) async fn single(
    connection: &mut Connection,
    write: &Write,
) -> QueryResult<Written> {
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
        | Write::EndMessages(_) => unreachable!("made by the adapter, which may gather them"),
    })
}
