//! Equal messages through a consumer.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Mutex;

use super::*;
use crate::config::BatchLimits;
use crate::consumer::Work;
use crate::poison::Quarantine;
use crate::testing_support::single;

const EQUAL: usize = 1000;
/// One message in this many fails once.
const EACH: usize = 10;

#[actix::test]
async fn each_of_a_thousand_equal_messages_runs_its_own_number_of_times() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(vec!["same"; EQUAL]).await;
    let attempts: Arc<Mutex<BTreeMap<String, Vec<u32>>>> = Arc::default();
    let (seen, source) = (Arc::clone(&attempts), world.source());
    let handler = single(move |message| {
        let mut seen = seen.lock().unwrap();
        let known = seen.len();
        let runs = seen.entry(message.id).or_default();
        runs.push(message.attempt);
        let fails = runs.len() == 1 && known % EACH == 0;
        async move {
            if fails {
                Err("each tenth".into())
            } else {
                Ok(())
            }
        }
    });
    let work = Work {
        queue: "work".into(),
        source: Arc::<RedisSource>::clone(&source),
        home: tokio::runtime::Handle::current(),
        handler,
        retry: RetryRules {
            max_attempts: NonZeroU32::new(3).unwrap(),
            backoff: Backoff {
                base: Duration::from_millis(20),
                max: Duration::from_millis(20),
            },
        },
        timeout: None,
        batch: BatchLimits::default(),
        slots: None,
        quarantine: Quarantine::default(),
        paused: crate::orders::PauseFlag::default(),
        rate: crate::rate::Limiter::none(),
        state: crate::testing_support::queue_state(),
    };
    let stop = StopSignal::new();
    let consumers: Vec<_> = (0..4)
        .map(|_| actix_rt::spawn(work.clone().run(stop.listen())))
        .collect();
    until_lag(&source, 0).await;
    stop.quiet();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let attempts = attempts.lock().unwrap();
    let ran = |wanted: &[u32]| attempts.values().filter(|runs| **runs == wanted).count();
    assert_eq!(attempts.len(), EQUAL);
    assert_eq!(
        (ran(&[1]), ran(&[1, 2])),
        (EQUAL - EQUAL / EACH, EQUAL / EACH)
    );
}
