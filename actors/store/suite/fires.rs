//! Claims of cron fires, by what their entry does at an overlap.

use super::*;

/// It has waited for its row for too long.
fn missed(fire: Fire) -> Fire {
    Fire {
        expired: Some("too late".to_owned()),
        ..fire
    }
}

fn replacing(entry: &str, scheduled_ms: i64, uk: &str) -> Fire {
    Fire {
        at_overlap: AtOverlap::Replace,
        ..fire(entry, scheduled_ms, uk, true)
    }
}

facts! {
    async fn one_fire_for_each_entry_and_second(world) {
        let mut writer = world.writer().await;
        assert!(writer.fired(fire("e", 1000, "a", true)).await);
        assert!(!writer.fired(fire("e", 1000, "b", true)).await);
        assert!(writer.fired(fire("e", 2000, "c", true)).await);
        assert!(writer.fired(fire("f", 1000, "d", true)).await);
        assert_eq!(world.lines("SELECT uk AS line FROM crontab_log ORDER BY uk"), ["a", "c", "d"]);
    }

    async fn a_fire_is_skipped_while_a_run_is_open(world) {
        let mut writer = world.writer().await;
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Ours);
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "b")).await, Claim::Others, "not its own rival");
        assert_eq!(writer.claim_fire(forbidding("e", 2000, "c")).await, Claim::Skipped, "claimed");
        assert_eq!(writer.claim_fire(forbidding("f", 2000, "d")).await, Claim::Ours, "another entry");
        let elsewhere = Fire { partition: "script2".to_owned(), ..forbidding("e", 2000, "e") };
        assert_eq!(writer.claim_fire(elsewhere).await, Claim::Ours, "another partition");
        assert!(writer.fired(fire("e", 2500, "g", true)).await, "allowed");
        writer.end_run("g", "success").await;
        writer.write(started("a", 7)).await;
        assert_eq!(writer.claim_fire(forbidding("e", 3000, "h")).await, Claim::Skipped, "started");
        let skipped = "SELECT uk || result || CASE WHEN start_time > 0 AND end_time = start_time THEN 1 ELSE 0 END AS line FROM crontab_log
            WHERE status = 'skipped' ORDER BY uk";
        assert_eq!(world.lines(skipped), ["cone runs1", "hone runs1"]);
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run WHERE state = 3 ORDER BY uk"), ["c", "g", "h"]);
        assert!(!writer.end_run("c", "lost").await);
        writer.end_run("a", "success").await;
        assert_eq!(writer.claim_fire(forbidding("e", 4000, "i")).await, Claim::Ours);
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log WHERE uk IN ('a', 'c', 'g', 'h', 'i')"), "5");
    }

    async fn a_missed_fire_blocks_no_later_fire(world) {
        let mut writer = world.writer().await;
        assert_eq!(writer.claim_fire(missed(forbidding("e", 1000, "a"))).await, Claim::Missed);
        assert_ne!(writer.claim_fire(missed(forbidding("e", 1000, "a"))).await, Claim::Ours, "asked again");
        assert_eq!(writer.claim_fire(forbidding("e", 2000, "b")).await, Claim::Ours, "nothing runs");
        assert_eq!(writer.claim_fire(missed(replacing("e", 3000, "c"))).await, Claim::Missed);
        assert_eq!(world.replaced().await, [""; 0], "what does not begin replaces nothing");
        assert_eq!(writer.claim_fire(fire("e", 1000, "d", true)).await, Claim::Others);
        let rows = "SELECT uk || status || result || CASE WHEN start_time > 0 AND end_time = start_time THEN 1 ELSE 0 END AS line
            FROM crontab_log ORDER BY uk";
        assert_eq!(world.lines(rows), ["afailedtoo late1", "brunning0", "cfailedtoo late1"]);
        assert_eq!(world.lines("SELECT uk AS line FROM cron_run WHERE state = 3 ORDER BY uk"), ["a", "c"]);
    }

    async fn a_claim_given_up_inserts_nothing(world) {
        let mut writer = world.writer().await;
        let claim = fire("e", 1000, "a", true);
        claim.given_up.set();
        assert_eq!(writer.claim_fire(claim).await, Claim::Missed);
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run"), "0");
        assert_eq!(writer.claim_fire(fire("e", 1000, "b", true)).await, Claim::Ours);
    }

    async fn a_waiting_fire_has_no_row_yet(world) {
        let mut writer = world.writer().await;
        let waiting = |second, uk| Fire { at_overlap: AtOverlap::Wait, ..fire("e", second, uk, true) };
        writer.fired(fire("e", 5000, "a", true)).await;
        writer.fired(fire("f", 1000, "other entry", true)).await;
        assert_eq!(writer.claim_fire(waiting(1000, "b")).await, Claim::Busy);
        assert_eq!(world.line("SELECT count(*) AS line FROM cron_run WHERE entry = 'e'"), "1");
        assert!(writer.end_run("a", "success").await);
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(waiting(1000, "b")).await, Claim::Ours);
        }
        assert_eq!(writer.claim_fire(waiting(2000, "c")).await, Claim::Busy);
        assert_eq!(writer.claim_fire(waiting(1000, "d")).await, Claim::Others, "another daemon's");
    }

    async fn a_repeated_claim_has_the_same_answer(world) {
        let mut writer = world.writer().await;
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Ours);
            assert_eq!(writer.claim_fire(forbidding("e", 2000, "b")).await, Claim::Skipped);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log"), "2");
        assert_eq!(writer.take_fire("a", "script1/a", AtOverlap::Allow).await, Claim::Ours);
        assert_eq!(writer.claim_fire(forbidding("e", 1000, "a")).await, Claim::Others, "taken over meanwhile");
        writer.fired(fire("f", 1000, "c", false)).await;
        writer.end_run("c", "success").await;
        assert!(!writer.fired(fire("f", 1000, "c", false)).await, "made meanwhile");
    }

    async fn a_replacing_fire_marks_earlier_open_runs(world) {
        let mut writer = world.writer().await;
        for (second, uk) in [(1000, "a"), (2000, "b"), (5000, "late")] {
            assert_eq!(writer.claim_fire(fire("e", second, uk, true)).await, Claim::Ours);
        }
        writer.fired(fire("f", 1000, "other entry", true)).await;
        writer.fired(Fire { partition: "script2".to_owned(), ..fire("e", 1000, "other partition", true) }).await;
        writer.write(started("a", 7)).await;
        assert_eq!(world.replaced().await, [""; 0]);
        for _ in 0..2 {
            assert_eq!(writer.claim_fire(replacing("e", 3000, "c")).await, Claim::Ours);
            assert_eq!(world.replaced().await, ["a", "b"]);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log WHERE status = 'running'"), "6");
        writer.write(started("b", 8)).await;
        assert_eq!(world.replaced().await, ["a", "b"], "a process that has begun meanwhile does not take the mark away");
        assert!(writer.end_run("a", "killed").await);
        assert_eq!(world.replaced().await, ["b"]);
        assert_eq!(world.line("SELECT status AS line FROM cron_run WHERE uk = 'a'"), "killed");
    }

    async fn a_fire_taken_over_is_judged_again(world) {
        let mut writer = world.writer().await;
        writer.claim_fire(forbidding("e", 1000, "a")).await;
        assert_eq!(writer.take_fire("a", "script1/nobody", skip()).await, Claim::Others);
        assert_eq!(writer.take_fire("a", "script1/a", skip()).await, Claim::Ours, "nothing else runs");
        writer.fired(fire("e", 2000, "b", true)).await;
        assert_eq!(writer.take_fire("a", OTHER, skip()).await, Claim::Skipped, "an allowed run began");
        assert_eq!(writer.take_fire("a", OTHER, skip()).await, Claim::Others, "it has ended");
        let row = "SELECT status || result || CASE WHEN end_time > 0 THEN 1 ELSE 0 END AS line FROM crontab_log WHERE uk = 'a'";
        assert_eq!(world.line(row), "skippedone runs1");
        writer.fired(fire("e", 3000, "c", true)).await;
        assert_eq!(writer.take_fire("c", ME, AtOverlap::Replace).await, Claim::Ours);
        assert_eq!(world.replaced().await, ["b"]);
        writer.write(started("c", 7)).await;
        assert_eq!(writer.take_fire("c", OTHER, AtOverlap::Allow).await, Claim::Others, "it has begun");
    }
}
