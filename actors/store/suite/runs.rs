//! Cron runs from their start to their end.

use super::*;

facts! {
    async fn a_run_ends_once(world) {
        let mut writer = world.writer().await;
        writer.fired(fire("e", 1000, "a", true)).await;
        writer.write(started("a", 7)).await;
        let open = world.store.reader().open_runs("script1").await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].pid, open[0].start_ticks), (7, Some(77)));
        assert!(writer.end_run("a", "success").await);
        assert!(!writer.end_run("a", "lost").await);
        assert!(!writer.end_run("nobody", "lost").await);
        writer.write(started("a", 8)).await;
        let row = "SELECT status || pid || CASE WHEN end_time >= start_time THEN 1 ELSE 0 END AS line FROM crontab_log";
        assert_eq!(world.line(row), "success71");
        let result = world.line("SELECT result AS line FROM crontab_log");
        assert_eq!((result.chars().count(), result.chars().last()), (500, Some('…')));
        assert!(world.store.reader().open_runs("script1").await.unwrap().is_empty());
    }

    async fn runs_of_a_dead_partition_are_orphans(world) {
        let mut writer = world.writer().await;
        writer.begin("script2/alive").await;
        for (owner, uk) in [("script2/alive", "a"), ("script2/dead", "b"), ("script2/dead", "c")] {
            let of_other = Fire { partition: "script2".to_owned(), owner: owner.to_owned(), ..fire(uk, 1000, uk, true) };
            writer.fired(of_other).await;
        }
        writer.end_run("c", "success").await;
        writer.fired(Fire { owner: "script1/dead".to_owned(), ..fire("own", 1000, "own", true) }).await;
        let orphans = world.store.reader().orphaned_runs("script1").await.unwrap();
        let orphans: Vec<&str> = orphans.iter().map(|run| run.uk.as_str()).collect();
        assert_eq!(orphans, ["b"]);
    }

    async fn only_its_new_owner_ends_a_run(world) {
        let mut writer = world.writer().await;
        writer.fired(fire("e", 1000, "a", true)).await;
        assert_eq!(writer.take_fire("a", ME, AtOverlap::Allow).await, Claim::Ours);
        assert!(!writer.end_run_of("a", "failed", Some(ME)).await);
        assert_eq!(world.line("SELECT status AS line FROM crontab_log"), "running");
        assert!(writer.end_run_of("a", "failed", Some(OTHER)).await);
    }

    async fn runs_without_is_log_leave_crontab_log_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("INSERT INTO crontab_log (name, uk, status) VALUES ('theirs', 'theirs', 'running')");
        writer.fired(fire("e", 1000, "a", false)).await;
        writer.write(started("a", 7)).await;
        assert!(writer.end_run("a", "success").await);
        assert!(!writer.end_run("theirs", "lost").await);
        assert_eq!(world.line("SELECT name || status || pid AS line FROM crontab_log"), "theirsrunning0");
    }

    async fn old_runs_are_trimmed_and_open_ones_stay(world) {
        let mut writer = world.writer().await;
        for uk in ["a", "b"] {
            writer.fired(fire(uk, 1000, uk, false)).await;
        }
        writer.end_run("a", "success").await;
        let before_ms = now_ms() + 1000;
        writer.write(TrimRuns { before_ms }).await;
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run"), ["b"]);
    }
}
