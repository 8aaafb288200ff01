//! Since when an entry of the crontab is live, and its last fire.

use super::*;

facts! {
    async fn an_entry_live_again_begins_anew(world) {
        let mut writer = world.writer().await;
        let begun = now_ms();
        let since = writer.sync(&["a", "b"]).await;
        assert!(since.iter().all(|since| *since >= begun), "{since:?}");
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        let fires = [50_000, 70_000, 60_000].map(|ago| fire_time(begun - ago));
        writer.fired(fire("a", fires[0], "1", false)).await;
        writer.fired(fire("a", fires[1], "2", false)).await;
        writer.fired(fire("b", fires[2], "3", false)).await;
        assert_eq!(writer.sync(&["b", "a"]).await, [fires[2], fires[0]]);
        assert_eq!(writer.sync(&["b"]).await, [fires[2]]);
        // A daemon with the older configuration goes on firing for a moment.
        assert!(writer.fired(fire("a", fire_time(begun - 40_000), "4", false)).await);
        let again = writer.sync(&["a", "b"]).await;
        assert!(again[0] >= begun && again[0] <= now_ms(), "{again:?}");
        assert_eq!(again[1], fires[2]);
        assert!(writer.sync(&[]).await.is_empty());
        let row = "SELECT count(*) AS line FROM cron_entry WHERE entry = 'b' AND live = 0 AND last_fire_ms IS NULL";
        assert_eq!(world.line(row), "1");
    }

    async fn an_unfired_entry_counts_from_its_start(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a"]).await;
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 5000");
        assert_eq!(writer.sync(&["a"]).await, [since[0] - 5000], "a restart keeps it");
        writer.fired(fire("a", fire_time(since[0] - 9000), "1", false)).await;
        assert_eq!(writer.sync(&["a"]).await, [since[0] - 5000], "a fire of before does not count");
        (world.execute)("UPDATE cron_entry SET live = 0");
        assert!(writer.sync(&["a"]).await[0] >= since[0], "live anew");
    }

    async fn fires_of_a_clock_that_was_ahead_hide_no_gap(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a"]).await[0];
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        assert!(writer.fired(fire("a", since + 3_600_000, "ahead", false)).await);
        assert_eq!(writer.sync(&["a"]).await, [since - 90_000]);
        let fired = fire_time(since - 60_000);
        assert!(writer.fired(fire("a", fired, "1", false)).await);
        assert_eq!(writer.sync(&["a"]).await, [fired]);
        // As a row that was deleted may have left it.
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {}", since + 3_600_000));
        assert_eq!(writer.sync(&["a"]).await, [fired]);
    }

    async fn the_last_fire_outlives_its_row(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a", "b"]).await[0];
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        for (entry, second, uk) in [("a", 80_000, "1"), ("a", 70_000, "2"), ("b", 60_000, "3"), ("a", -50_000, "4")] {
            writer.fired(fire(entry, fire_time(since - second), uk, false)).await;
            writer.end_run(uk, "success").await;
        }
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {} WHERE entry = 'b'", since + 3_600_000));
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run"), "0");
        assert_eq!(writer.sync(&["a", "b"]).await, [70_000, 60_000].map(|ago| fire_time(since - ago)));
    }

    async fn only_a_live_entry_has_a_last_fire(world) {
        let mut writer = world.writer().await;
        writer.sync(&["a"]).await;
        writer.sync(&[]).await;
        assert!(writer.fired(fire("a", 5000, "1", false)).await, "made by a daemon with an older configuration");
        writer.end_run("1", "success").await;
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.line("SELECT COALESCE(last_fire_ms, 0) AS line FROM cron_entry"), "0");
        // As an older version left it.
        let begun = now_ms();
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {}", begun - 5000));
        assert!(writer.sync(&["a"]).await[0] >= begun);
    }
}
