//! The machine's clock is set while CronActor runs. Processes are real, seconds pass at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::entry::tests::entry;
use super::super::testing::World;
use crate::clock::{jumps::jump, now_ms};
use crate::config::Misfire;
use crate::testing_support::TestDb;

const SECOND: Duration = Duration::from_secs(1);
const HOUR_S: i64 = 3600;

async fn world(expression: &str, misfire: Misfire) -> World {
    let entry = Arc::new(entry(expression, misfire));
    let world = World::with(TestDb::start(), vec![entry], "/bin/true");
    // The database has answered it by its first fire.
    world.until_fired(1).await;
    world
}

impl World {
    /// The seconds that were fired, in their order.
    fn fired(&self) -> Vec<i64> {
        let rows = "SELECT scheduled_ms / 1000 AS line FROM cron_run ORDER BY scheduled_ms";
        let rows = self.files.lines(rows);
        rows.iter().map(|second| second.parse().unwrap()).collect()
    }

    async fn until_fired(&self, n: usize) -> Vec<i64> {
        for _ in 0..1000 {
            let fired = self.fired();
            if fired.len() >= n {
                return fired;
            }
            sleep(SECOND / 4).await;
        }
        panic!("{n} fires did not come: {:?}", self.fired());
    }

    /// Each fired second was one process.
    async fn ends_well(&self) {
        self.stop.quiet();
        let fires = self.fired().len();
        assert_eq!(self.until_ended(fires).await.len(), fires);
        assert!(self.stop().await);
    }
}

fn now_s() -> i64 {
    now_ms() / 1000
}

#[actix::test]
async fn a_repeated_hour_fires_by_its_new_time() {
    tokio::time::pause();
    let world = world("* * * * * *", Misfire::Skip).await;
    let before = world.until_fired(3).await;
    jump(-HOUR_S);
    let set_back_to = now_s();
    let fired = world.until_fired(before.len() + 4).await;
    let again: Vec<i64> = fired
        .into_iter()
        .filter(|second| *second < before[0])
        .collect();
    assert!(
        again.len() >= 3,
        "it does not wait for the old hour: {again:?}"
    );
    assert!(
        again[0] >= set_back_to && again[0] <= set_back_to + 2,
        "{again:?}, {set_back_to}"
    );
    assert!(
        again.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{again:?}"
    );
    world.ends_well().await;
}

#[actix::test]
async fn seconds_that_come_a_second_time_fire_nothing() {
    tokio::time::pause();
    for back_s in [3, 8] {
        let world = world("* * * * * *", Misfire::CatchUp(5.try_into().unwrap())).await;
        world.until_fired(10).await;
        let last = *world.fired().last().unwrap();
        jump(-back_s);
        let begun = tokio::time::Instant::now();
        let fired = world.until_fired(world.fired().len() + 3).await;
        assert!(
            fired.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{fired:?}"
        );
        let passed = i64::try_from(begun.elapsed().as_secs()).unwrap();
        assert!(
            passed >= back_s,
            "{passed} s until new seconds came after {last}"
        );
        world.ends_well().await;
        jump(back_s);
    }
}

#[actix::test]
async fn what_a_jump_forward_skips_within_the_grace_is_late() {
    tokio::time::pause();
    let world = world("* * * * * *", Misfire::Skip).await;
    world.until_fired(3).await;
    jump(6);
    let fired = world.until_fired(world.fired().len() + 8).await;
    assert!(
        fired.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{fired:?}"
    );
    world.ends_well().await;
}

#[actix::test]
async fn a_jump_beyond_the_grace_is_a_misfire() {
    const STEP_S: i64 = 600;
    tokio::time::pause();
    let cases = [
        (Misfire::Skip, 0),
        (Misfire::Coalesce, 1),
        (Misfire::CatchUp(4.try_into().unwrap()), 4),
    ];
    for (misfire, made_up) in cases {
        let entry = Arc::new(entry("0 */10 * * * *", misfire));
        // Not close to a fire, neither now nor after the jump.
        jump(STEP_S / 2 - now_s() % STEP_S);
        let files = TestDb::start();
        files.sql(&format!(
            "INSERT INTO cron_entry (partition_name, entry, name, expression, live, live_since_ms)
             VALUES ('script1', '{}', 'n', '', 1, {})",
            entry.key,
            now_ms()
        ));
        let world = World::with(files, vec![entry], "/bin/true");
        sleep(4 * SECOND).await;
        assert_eq!(world.fired(), [0; 0]);
        jump(HOUR_S);
        sleep(4 * SECOND).await;
        let fired = world.until_fired(made_up).await;
        let last = now_s() / STEP_S * STEP_S;
        let mut expected: Vec<i64> = (0..).map(|n| last - n * STEP_S).take(made_up).collect();
        expected.reverse();
        assert_eq!(fired, expected, "{misfire:?}");
        world.ends_well().await;
        jump(-HOUR_S);
    }
}

#[actix::test]
async fn a_series_goes_on_after_a_jump_in_its_own_steps() {
    tokio::time::pause();
    for jump_s in [HOUR_S, -HOUR_S] {
        let world = world("@every 7s", Misfire::Skip).await;
        let before = world.until_fired(2).await;
        assert_eq!(before[1] - before[0], 7);
        jump(jump_s);
        let fired = world.until_fired(6).await;
        let since: Vec<i64> = fired
            .into_iter()
            .filter(|second| !before.contains(second))
            .collect();
        let steps: Vec<i64> = since.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            steps.iter().all(|step| *step == 7),
            "{jump_s}: {before:?}, then {since:?}"
        );
        world.ends_well().await;
        jump(-jump_s);
    }
}
