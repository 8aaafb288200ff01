//! Says outside that this daemon lives: a ping each minute, while its database answers and its actors do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Plan;
use super::children::Children;
use crate::alert::{Ping, PingEvent};
use crate::membership::Ownership;
use crate::presence::answers;

/// Whoever is called expects it that often.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(60);
/// Pings where all is well; otherwise why it is not.
pub(super) async fn ping(plan: Arc<Plan>, children: Children) -> Result<(), String> {
    let Some(url) = plan.ping.clone() else {
        return Ok(());
    };
    all_is_well(&plan, &children).await?;
    plan.cron.pinger.send(Ping {
        url,
        event: PingEvent::Success,
        of: "this daemon (`alert.ping`)".to_owned(),
        run: None,
        text: String::new(),
        output: None,
    });
    Ok(())
}

async fn all_is_well(plan: &Plan, children: &Children) -> Result<(), String> {
    if plan.liveness.ownership(plan.liveness.generation()) != Ownership::Held {
        return Err("the database does not confirm this daemon's heartbeats".to_owned());
    }
    let delay_queue = children.delay_queue.iter();
    let cron = children.cron.iter();
    let pools = join_all(children.pools.values().map(answers));
    let others = join_all(delay_queue.map(answers));
    let (pools, delay_queue, cron) = tokio::join!(pools, others, join_all(cron.map(answers)));
    for (name, answers) in [
        ("a PoolActor", pools),
        ("DelayQueueActor", delay_queue),
        ("CronActor", cron),
    ] {
        if answers.contains(&false) {
            return Err(format!("{name} does not answer"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan_of_a_daemon;
    use super::*;

    #[actix::test]
    async fn a_daemon_whose_heartbeats_are_not_confirmed_calls_nobody() {
        tokio::time::pause();
        let (_files, plan) = plan_of_a_daemon();
        let children = Children::default();
        assert_eq!(all_is_well(&plan, &children).await, Ok(()));
        tokio::time::sleep(plan.liveness.interval() * 4).await;
        let why = all_is_well(&plan, &children).await.unwrap_err();
        assert!(why.contains("does not confirm"), "{why}");
    }
}
