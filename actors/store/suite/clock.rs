//! Rows whose times a clock has set that was ahead, and rows that are older than they are kept.

use super::*;
use crate::store::write::{
    HastenMessages, HastenTasks, TRIM_ROWS, TrimAudit, TrimCrontabLog, TrimDeadLetters, Trimmed,
};

const A_DAY_S: i64 = 86_400;

impl Connection {
    /// How many rows were deleted, and whether there may be more.
    async fn trimmed(&mut self, trim: impl Operation<Reply = Trimmed>) -> (usize, bool) {
        let trimmed = self.write(trim).await;
        (trimmed.deleted, trimmed.more_after_id.is_some())
    }
}

facts! {
    async fn messages_that_no_back_off_explains_are_due_now(world) {
        let mut writer = world.writer().await;
        let now = now_ms();
        let row = |id: i64, owner: &str, attempts: i64, deaths: i64, ahead_s: i64| format!(
            "({id}, 'q', 'x', '{owner}', {attempts}, {deaths}, {}, 0)", now + ahead_s * 1000
        );
        let rows = [
            row(1, "", 0, 0, A_DAY_S),
            row(2, "", 2, 0, A_DAY_S),
            row(3, "", 2, 0, 250),
            row(4, "", 0, 1, 250),
            row(5, "somebody", 0, 0, A_DAY_S),
            row(6, "", 0, 0, -5),
        ];
        (world.execute)(&format!(
            "INSERT INTO queue_message (id, queue, payload, owner, attempts, deaths, due_ms, created_ms) VALUES {}",
            rows.join(",")
        ));
        let hasten = || HastenMessages { queue: "q".to_owned(), longest_ms: 300_000 };
        assert_eq!(writer.write(hasten()).await, 2);
        assert_eq!(writer.write(hasten()).await, 0);
        let mut due: Vec<i64> = writer.fetch(ME, 9).await.iter().map(|message| message.id).collect();
        due.sort_unstable();
        assert_eq!(due, [1, 2, 6]);
        let other = HastenMessages { queue: "other".to_owned(), longest_ms: 0 };
        assert_eq!(writer.write(other).await, 0);
    }

    async fn retries_that_no_back_off_explains_are_due_now(world) {
        let mut writer = world.writer().await;
        let far_s = now_ms().div_euclid(1000) + A_DAY_S;
        let row = |id: i64, status: i64, attempts: i64, due_ms: String| {
            format!("({id}, 'n', 'c', {status}, {attempts}, {far_s}, {due_ms})")
        };
        let ours = (far_s * 1000 + 7).to_string();
        let rows = [
            row(1, 1, 1, ours.clone()),
            // It waits for its first attempt; it is finished; another program has set its time.
            row(2, 1, 0, ours.clone()),
            row(3, 3, 1, ours),
            row(4, 1, 1, "5".to_owned()),
            row(5, 1, 1, "NULL".to_owned()),
        ];
        (world.execute)(&format!(
            "INSERT INTO delay_queue_log (id, name, exec_cmd, status, attempts, exec_time, due_ms) VALUES {}",
            rows.join(",")
        ));
        let reader = world.store.reader();
        assert_eq!(reader.late_retries(far_s).await.unwrap(), Vec::<i64>::new());
        let after_s = far_s - 1;
        assert_eq!(reader.late_retries(after_s).await.unwrap(), [1]);
        let hasten = |ids: Vec<i64>| HastenTasks { ids, after_s };
        assert_eq!(writer.write(hasten(vec![1, 2, 3])).await, 1);
        assert_eq!(writer.write(hasten(vec![1])).await, 0);
        let claimed = writer.claim(ME, 9).await;
        assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), [1]);
    }

    async fn rows_of_open_runs_are_not_deleted(world) {
        let mut writer = world.writer().await;
        let now = now_ms();
        let rows = [
            ("old", "success", now - 10_000_000),
            ("old-of-another-program", "running", now - 10_000_000),
            ("open", "running", now - 10_000_000),
            ("new", "success", now - 1000),
            ("in-seconds", "success", now / 1000 - 10_000_000),
        ];
        for (uk, status, start) in rows {
            (world.execute)(&format!("INSERT INTO crontab_log (uk, status, start_time) VALUES ('{uk}', '{status}', {start})"));
        }
        (world.execute)(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
             VALUES ('p', 'e', 1, 'open', 'n', 'o', 'm', 2, 'running', 1), ('p', 'e', 2, 'old', 'n', 'o', 'm', 3, 'success', 1)",
        );
        let trim = || TrimCrontabLog { before_ms: now - 5_000_000, after_id: 0 };
        assert_eq!(writer.trimmed(trim()).await, (2, false));
        assert_eq!(writer.trimmed(trim()).await, (0, false));
        let left = world.lines("SELECT uk AS line FROM crontab_log ORDER BY id");
        assert_eq!(left, ["open", "new", "in-seconds"]);
    }

    async fn old_dead_letters_are_deleted(world) {
        let mut writer = world.writer().await;
        let now = now_ms();
        for died in [now - 10_000_000, now - 9_000_000, now - 1000] {
            (world.execute)(&format!(
                "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
                 VALUES ('redis', 's', 'n', 'c', '1', 'x', 'e', 1, 'p', 1, {died})"
            ));
        }
        let trim = || TrimDeadLetters { before_ms: now - 5_000_000, after_id: 0 };
        assert_eq!(writer.trimmed(trim()).await, (2, false));
        assert_eq!(writer.trimmed(trim()).await, (0, false));
        assert_eq!(world.line("SELECT count(*) AS line FROM dead_letter"), "1");
    }

    async fn old_orders_are_deleted(world) {
        let mut writer = world.writer().await;
        let now = now_ms();
        for at in [now - 10_000_000, now - 9_000_000, now - 1000] {
            (world.execute)(&format!(
                "INSERT INTO audit (environment, at_ms, ordered_by, action, target, result)
                 VALUES ('dev', {at}, 'ann', 'pause', 'everything', 'done')"
            ));
        }
        for deleted in [2, 0] {
            let trim = TrimAudit { before_ms: now - 5_000_000 };
            let rows = writer.write(trim).await;
            assert_eq!(rows, deleted);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM audit"), "1");
    }

    async fn rows_that_are_kept_hold_up_no_deletion_of_others(world) {
        let mut writer = world.writer().await;
        let now = now_ms();
        let kept = vec!["('kept', 'success', 1)"; TRIM_ROWS + 1].join(", ");
        (world.execute)(&format!("INSERT INTO crontab_log (uk, status, start_time) VALUES {kept}"));
        let old = now - 10_000_000;
        (world.execute)(&format!("INSERT INTO crontab_log (uk, status, start_time) VALUES ('old', 'success', {old})"));
        let (before_ms, mut after_id, mut deleted) = (now - 5_000_000, 0, 0);
        for _ in 0..2 {
            let trim = TrimCrontabLog { before_ms, after_id };
            let trimmed = writer.write(trim).await;
            deleted += trimmed.deleted;
            after_id = trimmed.more_after_id.unwrap_or(i64::MAX);
        }
        assert_eq!((deleted, after_id), (1, i64::MAX), "and there is no more");
        assert_eq!(world.line("SELECT count(*) AS line FROM crontab_log WHERE uk = 'old'"), "0");
    }
}
