//! The life of a stop: Quiet to all, then Stop by one deadline, then the boot's end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::Plan;
use super::children::Children;
use crate::stop::StopSignal;
use crate::store::write::EndBoot;
use crate::{cron, delay_queue, own_code, pool};

/// Kept back from the deadline for the release of what still ran, and for the boot's end: a tenth of it, two seconds at
/// most.
const RESERVE_SHARE: u32 = 10;
const LONGEST_RESERVE: Duration = Duration::from_secs(2);

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Everything is in the database.
    Clean,
    /// The end of this boot could not be written to the database; its rows wait until it is found out.
    Unwritten,
}

/// The second step of the stop. Returns by the deadline.
pub(super) async fn stop_all(
    plan: Arc<Plan>,
    children: Children,
    stop: StopSignal,
    deadline: Instant,
) -> Stopped {
    let begun = Instant::now();
    let reserve = (plan.shutdown_deadline / RESERVE_SHARE).min(LONGEST_RESERVE);
    stop.stop(deadline - reserve);
    let left = until_ended(&children, deadline).await;
    if left > 0 {
        log::warn!(
            "{left} jobs or consumers did not end by the deadline; their work is released and runs again"
        );
    }
    // After all that works, and before the receivers end.
    plan.own_alerts.finish();
    plan.http.socket.remove();
    // Alerts and pings to the outside get no time that running jobs need.
    let now = Instant::now();
    // Half of what is left is for the boot's end.
    let notify_until = (now + reserve).min(now + deadline.saturating_duration_since(now) / 2);
    // The boot ends after the alerts are sent: its end releases the warnings that could not be sent.
    let end = async {
        plan.warnings
            .finish(&plan.notifier, notify_until, notify_until + reserve / 4)
            .await;
        let owner = plan.boot.owner.clone();
        plan.db.write(EndBoot { owner }).await
    };
    let (ended, ()) = tokio::join!(
        timeout_at(deadline, end),
        plan.cron.pinger.finish(notify_until),
    );
    match ended {
        Ok(Ok(reaped)) => {
            plan.slots.remove();
            log::info!(
                "stopped after {:.1} s; {} messages and {} delayed tasks released at the end",
                begun.elapsed().as_secs_f64(),
                reaped.messages,
                reaped.tasks
            );
            Stopped::Clean
        }
        // The slot file stays: the next daemon on this machine finds it and releases at once what this boot owned.
        Ok(Err(cause)) => unwritten(&cause.to_string()),
        Err(_) => unwritten("it did not answer by the deadline"),
    }
}

fn unwritten(cause: &str) -> Stopped {
    log::error!(
        "stopped, but the end of this boot could not be written to the database: {cause}; \
         the work that was under way runs again once other daemons see that this boot has ended"
    );
    Stopped::Unwritten
}

/// Answers how many did not end. What pools and own code run may still push: the delay queue takes that to the end.
///
/// The deadline is on the signal. Each child is also asked by `AwaitEnd`, because only the child knows what is left of its
/// work. The boot ends after all answers.
async fn until_ended(children: &Children, deadline: Instant) -> usize {
    let pools = children
        .all_pools()
        .rev()
        .map(|pool| pool.send(pool::AwaitEnd));
    let tasks = async {
        match &children.delay_queue {
            Some(delay_queue) => delay_queue.send(delay_queue::AwaitEnd).await.unwrap_or(0),
            None => 0,
        }
    };
    let fires = async {
        match &children.cron {
            // A fire that has its row must have its process: nobody makes it again.
            Some(cron) => usize::from(!cron.send(cron::AwaitEnd).await.unwrap_or(true)),
            None => 0,
        }
    };
    let own_code = children
        .own_code
        .iter()
        .rev()
        .map(|own_code| own_code.send(own_code::AwaitEnd));
    let all = async {
        // Own code holds no claim of this daemon, so its result is not counted: OwnCodeActor logs a run that did not
        // end.
        let (fires, consumers, tasks, _) =
            tokio::join!(fires, join_all(pools), tasks, join_all(own_code));
        // A child that is gone has nothing left: what it held was released when it died.
        consumers
            .into_iter()
            .map(|left| left.unwrap_or(0))
            .sum::<usize>()
            + tasks
            + fires
    };
    timeout_at(deadline, all).await.unwrap_or(1)
}
