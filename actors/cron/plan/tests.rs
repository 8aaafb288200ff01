//! Planning beside everything else that the System's thread does.

use std::time::Instant;

use super::super::testing::World;
use super::*;
use crate::config::Misfire;
use crate::cron::entry::tests::entry;
use crate::testing_support::TestDb;

const SECOND: i64 = 1000;

#[test]
fn a_series_keeps_its_seconds_when_clocks_go_back() {
    let hourly = Arc::new(entry("@every 1h", Misfire::Skip));
    let due = 1_800_000_000 * SECOND;
    // Five minutes before it was due the clock goes back by ten seconds, by an hour, and by a day.
    for (back_s, expected) in [
        (10, due),
        (3600, due - 3600 * SECOND),
        (86_400, due - 86_400 * SECOND),
    ] {
        let now = due - 300 * SECOND - back_s * SECOND;
        let span = Span::after_jump_back(Arc::clone(&hourly), Some(due), now);
        let planned = span.plan(now, Duration::from_secs(10));
        assert_eq!(planned.due, Some(expected), "back by {back_s} s");
        assert_eq!(planned.missed.skipped, 0);
        assert!(planned.missed.fire.is_empty(), "{:?}", planned.missed);
    }
}

/// How many entries are planned.
#[derive(Message)]
#[rtype(result = "usize")]
struct CountPlanned;

impl Handler<CountPlanned> for CronActor {
    type Result = usize;

    fn handle(&mut self, _: CountPlanned, _: &mut Self::Context) -> usize {
        self.timer.len()
    }
}

/// On a real clock: what is asked is how long the thread does nothing else.
#[actix::test]
async fn a_thousand_misfires_of_many_entries_hold_up_nothing() {
    const ENTRIES: usize = 100;
    let files = TestDb::start();
    let minutely = |n| {
        let mut entry = entry("0 * * * * *", Misfire::Skip);
        entry.key = format!("e{n}");
        Arc::new(entry)
    };
    let entries: Vec<_> = (0..ENTRIES).map(minutely).collect();
    let yesterday = now_ms() - 24 * 3600 * SECOND;
    for entry in &entries {
        files.sql(&format!(
            "INSERT INTO cron_entry (partition_name, entry, name, expression, live, last_fire_ms)
             VALUES ('script1', '{}', 'n', '', 1, {yesterday})",
            entry.key
        ));
    }
    let begun = Instant::now();
    let grace = Duration::from_secs(10);
    for entry in &entries {
        let missed = misfire::missed(entry, yesterday, now_ms(), grace);
        assert!(missed.skipped >= 1000);
    }
    let all_at_once = begun.elapsed();

    let world = World::with(files, entries, "/bin/true");
    // Nothing is to fire: that would be more work for this thread.
    world.stop.quiet();
    let mut longest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let planned = world.actor.send(CountPlanned).await.unwrap();
        longest = longest.max(asked.elapsed());
        if planned == ENTRIES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(
        longest < all_at_once / 2,
        "held up for {longest:?}; all planned at once: {all_at_once:?}"
    );
    assert!(world.stop().await);
}
