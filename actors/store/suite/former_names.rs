//! Entries whose names an earlier version made otherwise.

use super::*;

fn renamed(name: &str, former: &[&str]) -> KnownEntry {
    KnownEntry {
        entry: name.to_owned(),
        former: former.iter().map(ToString::to_string).collect(),
        name: name.to_owned(),
        expression: "* * * * * *".to_owned(),
    }
}

impl Connection {
    async fn sync_known(&mut self, entries: Vec<KnownEntry>) -> Vec<i64> {
        let partition = "script1".to_owned();
        self.write(SyncEntries { partition, entries }).await
    }
}

facts! {
    async fn an_entry_keeps_its_last_fire_under_a_new_name(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["fired", "noted", "never"]).await;
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        let (fire_ms, noted_ms) = (fire_time(since[0] - 50_000), fire_time(since[0] - 60_000));
        writer.fired(fire("fired", fire_ms, "1", false)).await;
        writer.end_run("1", "success").await;
        (world.execute)(&format!("UPDATE cron_entry SET last_fire_ms = {noted_ms} WHERE entry = 'noted'"));
        let entries = || vec![
            renamed("FIRED", &["other", "fired"]),
            renamed("NOTED", &["noted"]),
            renamed("NEVER", &["never"]),
            renamed("new", &["unknown"]),
        ];
        let expected = [fire_ms, noted_ms, since[2] - 90_000];
        for _ in 0..2 {
            let found = writer.sync_known(entries()).await;
            assert_eq!(found[..3], expected);
            assert!(found[3] >= since[0], "begins anew: {found:?}");
        }
        let live = "SELECT entry AS line FROM cron_entry WHERE live = 1 ORDER BY lower(entry)";
        assert_eq!(world.lines(live), ["FIRED", "NEVER", "new", "NOTED"]);
    }

    async fn an_entry_not_live_by_its_former_name_begins_anew(world) {
        let mut writer = world.writer().await;
        let since = writer.sync(&["a"]).await[0];
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        writer.fired(fire("a", fire_time(since - 50_000), "1", false)).await;
        writer.sync(&[]).await;
        assert!(writer.sync_known(vec![renamed("A", &["a"])]).await[0] >= since);
    }

    async fn what_is_known_by_both_names_is_put_together(world) {
        let mut writer = world.writer().await;
        // Two daemons that have the zone by two names: each marks the other's entry as not live, and goes on firing.
        let since = writer.sync(&["A"]).await[0];
        writer.sync(&["a"]).await;
        (world.execute)("UPDATE cron_entry SET live_since_ms = live_since_ms - 90000");
        writer.fired(fire("a", fire_time(since - 50_000), "1", false)).await;
        let last = fire_time(since - 40_000);
        writer.fired(fire("A", last, "2", false)).await;
        assert_eq!(writer.sync_known(vec![renamed("A", &["a"])]).await, [last]);
    }

    async fn open_runs_of_a_former_name_are_known_to_overlap(world) {
        let mut writer = world.writer().await;
        writer.sync(&["a"]).await;
        // Both names of one zone fired this second.
        writer.fired(fire("a", 5000, "1", false)).await;
        writer.fired(fire("A", 5000, "2", false)).await;
        writer.fired(fire("a", 4000, "ended", false)).await;
        writer.end_run("ended", "success").await;
        writer.fired(Fire { partition: "script2".to_owned(), ..fire("a", 5000, "other", false) }).await;
        writer.sync_known(vec![renamed("A", &["a"])]).await;
        let rows = "SELECT concat(uk, entry, scheduled_ms) AS line FROM cron_run ORDER BY uk";
        assert_eq!(world.lines(rows), ["1A5001", "2A5000", "endeda4000", "othera5000"]);
        assert!(writer.end_run("2", "success").await);
        assert_eq!(writer.claim_fire(forbidding("A", 6000, "3")).await, Claim::Skipped);
        assert!(writer.end_run("1", "success").await);
        assert_eq!(writer.claim_fire(forbidding("A", 7000, "4")).await, Claim::Ours);
    }
}
