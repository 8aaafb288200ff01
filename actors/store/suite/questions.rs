//! What is asked again and again.

use super::*;
use crate::store::rows::DelayCounts;

impl World {
    async fn lags(&self, asked: &[(&str, u64)]) -> Vec<u64> {
        let asked = asked.iter().map(|(queue, cap)| ((*queue).to_owned(), *cap));
        let reader = self.store.reader();
        reader.queue_lags(asked.collect()).await.unwrap()
    }

    async fn due(&self, queues: &[&str]) -> Vec<String> {
        let queues = queues.iter().map(|queue| (*queue).to_owned());
        let reader = self.store.reader();
        let mut due = reader.due_queues(queues.collect()).await.unwrap();
        due.sort_unstable();
        due
    }
}

/// Bytes that are no text.
const NO_TEXT: &[u8] = b"\xff\x00\xfe";

impl World {
    /// As another program would have to do it: where the column refuses them it is made one of bytes.
    pub(super) fn insert_no_text(&self) {
        match self.name {
            "SQLite" => (self.execute)(
                "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
                 VALUES ('n', 'c', X'ff00fe', 1, 1), ('n', 'c', 'good', 1, 1), ('never', 'c', 'p', 1, 'soon')",
            ),
            name if name.starts_with("PostgreSQL") => (self.execute)(
                "ALTER TABLE delay_queue_log ALTER params DROP DEFAULT,
                     ALTER params TYPE bytea USING convert_to(params, 'UTF8');
                 INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
                 VALUES ('n', 'c', '\\xff00fe', 1, 1), ('n', 'c', 'good', 1, 1)",
            ),
            _ => (self.execute)(
                "ALTER TABLE delay_queue_log MODIFY params VARBINARY(500) NOT NULL DEFAULT '';
                 INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
                 VALUES ('n', 'c', X'ff00fe', 1, 1), ('n', 'c', 'good', 1, 1)",
            ),
        }
    }
}

facts! {
    async fn a_row_that_cannot_be_read_fails_alone_with_its_bytes(world) {
        world.insert_no_text();
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let claim = ClaimTasks { owner: ME.to_owned(), from_s: None, until_s: 9, most: Most { count: 9, bytes: u32::MAX } };
        let claimed = writer.write(claim).await;
        let params: Vec<&str> = claimed.tasks.iter().map(|task| task.params.as_str()).collect();
        assert_eq!(params, ["good"]);
        let failed = "SELECT id AS line FROM delay_queue_log WHERE status = 4 AND owner = '' ORDER BY id";
        let failed = world.lines(failed);
        let mut dead_letters = world.store.reader().dead_letters(DeadLetterFilter::default(), 9).await.unwrap();
        dead_letters.sort_by_key(|dead_letter| dead_letter.id);
        let originals: Vec<&String> = dead_letters.iter().map(|dead_letter| &dead_letter.original_id).collect();
        assert_eq!(originals, failed.iter().collect::<Vec<_>>());
        assert_eq!((dead_letters[0].payload.as_slice(), dead_letters[0].name.as_str()), (NO_TEXT, "n"));
        assert!(dead_letters[0].error.contains("`params` is no UTF-8 text"), "{}", dead_letters[0].error);
        assert_eq!(dead_letters.len(), if world.name == "SQLite" { 2 } else { 1 });
        // Alerts are made of the claim's answer about them.
        let mut claimed_errors: Vec<String> = claimed.dead_letters.iter().map(|(entry, error)| format!("{entry}: {error}")).collect();
        claimed_errors.sort_unstable();
        let mut written: Vec<String> = dead_letters.iter().map(|dead_letter| format!("delayed task `c`: {}", dead_letter.error)).collect();
        written.sort_unstable();
        assert_eq!(claimed_errors, written);
        let result = world.line("SELECT result AS line FROM delay_queue_log WHERE status = 4 AND name = 'n'");
        assert!(result.contains("`params`") && result.contains("\"status\":false"), "{result}");
    }

    async fn lags_of_many_queues_are_one_query(world) {
        let mut writer = world.writer().await;
        for owner in [ME, OTHER] {
            writer.begin(owner).await;
        }
        for (queue, n) in [("q", 7), ("orders'; --", 3)] {
            let (queue, rows) = (queue.to_owned(), (0..n).map(|_| message(b"x")).collect());
            writer.write(InsertMessages { queue, rows }).await;
        }
        writer.fetch(ME, 2).await;
        writer.fetch(OTHER, 3).await;
        let asked = [("q", 1000), ("nobody's", 1000), ("orders'; --", 1000), ("q", 4), ("q", 7)];
        assert_eq!(world.lags(&asked).await, [7, 0, 3, 4, 7]);
        assert!(world.lags(&[]).await.is_empty());
        writer.reap_gone(OTHER, Vec::new()).await;
        assert_eq!(world.lags(&[("q", 1000)]).await, [7], "released, and still unfinished");
    }

    async fn lags_of_a_thousand_queues_are_answered_in_their_order(world) {
        let mut writer = world.writer().await;
        let (queue, rows) = ("q999".to_owned(), vec![message(b"x")]);
        writer.write(InsertMessages { queue, rows }).await;
        let names: Vec<String> = (0..1000).map(|n| format!("q{n}")).collect();
        let asked: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 10)).collect();
        let lags = world.lags(&asked).await;
        assert_eq!((lags.len(), lags.iter().sum::<u64>(), lags[999]), (1000, 1, 1));
    }

    async fn a_queue_is_due_while_a_message_of_it_may_be_claimed(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.send(vec![message(b"x")]).await;
        assert_eq!(world.due(&["q", "other"]).await, ["q"]);
        let fetched = writer.fetch(ME, 1).await.remove(0);
        assert!(world.due(&["q", "other"]).await.is_empty(), "it is claimed");
        writer.settle(ME, &fetched, Disposition::Retry(Duration::from_secs(60))).await;
        assert!(world.due(&["q", "other"]).await.is_empty(), "it waits for its retry");
        (world.execute)("UPDATE queue_message SET due_ms = due_ms - 60000");
        assert_eq!(world.due(&["other", "q"]).await, ["q"]);
        assert!(world.due(&[]).await.is_empty());
    }

    async fn the_queues_in_which_something_waits_are_named(world) {
        let reader = world.store.reader();
        assert!(reader.waiting_queues().await.unwrap().is_empty());
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        for (queue, n) in [("q", 2), ("old", 300), ("dead:script1:测试", 1), ("Q", 1)] {
            let (queue, rows) = (queue.to_owned(), (0..n).map(|_| message(b"x")).collect());
            writer.write(InsertMessages { queue, rows }).await;
        }
        let mut found = reader.waiting_queues().await.unwrap();
        found.sort();
        assert_eq!(found, ["Q", "dead:script1:测试", "old", "q"]);
        writer.fetch(ME, 2).await;
        assert!(!reader.waiting_queues().await.unwrap().contains(&"q".to_owned()), "all of it is claimed");
    }

    async fn the_oldest_of_a_queue_is_the_first_that_waits(world) {
        let mut writer = world.writer().await;
        writer.send(vec![message(b"first")]).await;
        writer.send(vec![message(b"second")]).await;
        let oldest = async || {
            let queues = ["q", "none"].map(str::to_owned).to_vec();
            world.store.reader().oldest_due(queues).await.unwrap()
        };
        let both = oldest().await;
        let due_ms = both[0].unwrap();
        assert!((now_ms() - due_ms).abs() < 60_000, "{due_ms}");
        assert_eq!(both[1], None);
        writer.fetch(ME, 1).await;
        assert!(oldest().await[0].unwrap() >= due_ms, "the other one");
        writer.fetch(ME, 1).await;
        assert_eq!(oldest().await, [None, None], "none waits");
    }

    async fn the_newest_runs_of_any_daemon_are_known(world) {
        let reader = world.store.reader();
        let run = |entry: &str, second: i64, state: i16, owner: &str, status: &str| {
            (world.execute)(&format!(
                "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
                 VALUES ('script1', '{entry}', {second}000, '{entry}{second}', 'n', '{owner}', 'm', {state}, '{status}', {second}000, {second}500)",
            ));
        };
        run("a", 1, 3, ME, "failed");
        // Written last, and not the newest.
        run("a", 3, 3, ME, "failed");
        run("a", 2, 3, OTHER, "success");
        run("a", 4, 2, ME, "");
        let asked = ["a", "none"].map(str::to_owned).to_vec();
        let all = reader.ended_runs("script1", asked.clone()).await.unwrap();
        let short: Vec<Vec<(&str, &str, &str, i64)>> = all
            .iter()
            .map(|(_, runs)| runs.iter().map(|run| (&*run.uk, &*run.owner, &*run.status, run.ended_ms - run.started_ms)).collect())
            .collect();
        assert_eq!((all[0].0.as_str(), all[1].0.as_str()), ("a", "none"));
        let wanted = [("a3", ME, "failed", 500), ("a2", OTHER, "success", 500), ("a1", ME, "failed", 500)];
        assert_eq!(short, [wanted.to_vec(), Vec::new()]);
        let elsewhere = reader.ended_runs("script2", asked).await.unwrap();
        assert!(elsewhere.iter().all(|(_, runs)| runs.is_empty()));
        for second in 10..90 {
            run("a", second, 3, ME, "failed");
        }
        let all = reader.ended_runs("script1", vec!["a".to_owned()]).await.unwrap();
        assert_eq!((all[0].1.len(), all[0].1[0].uk.as_str()), (60, "a89"), "only the newest runs are read");
    }

    async fn what_waits_in_the_delay_queue_is_counted(world) {
        let reader = world.store.reader();
        assert_eq!(reader.delay_counts().await.unwrap(), DelayCounts::default());
        let mut writer = world.writer().await;
        let now = now_ms();
        writer.push(vec![task("later", now + 900_000), task("first", now - 5123), task("x", now)]).await;
        let counts = reader.delay_counts().await.unwrap();
        assert_eq!(counts, DelayCounts { waiting: 3, oldest_due_ms: Some(now - 5123) });
        writer.claim(ME, 1).await;
        let counts = reader.delay_counts().await.unwrap();
        assert_eq!(counts, DelayCounts { waiting: 2, oldest_due_ms: Some(now) });
        (world.execute)("INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES ('n', 'c', 'p', 1, 1000)");
        let counts = reader.delay_counts().await.unwrap();
        assert_eq!(counts, DelayCounts { waiting: 3, oldest_due_ms: Some(1_000_000) });
    }
}
