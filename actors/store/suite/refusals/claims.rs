//! A row that cannot be claimed, released or deleted holds up no other.

use super::*;

impl World {
    fn refuse_deletes(&self, table: &str, condition: &str) {
        let statement = match self.name {
            "SQLite" => format!(
                "CREATE TRIGGER kept BEFORE DELETE ON {table} WHEN {condition}
                 BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
            ),
            "PostgreSQL" => format!(
                "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF {condition} THEN RAISE EXCEPTION '{WORDS}'; END IF; RETURN OLD; END $$;
                 CREATE TRIGGER kept BEFORE DELETE ON {table}
                 FOR EACH ROW EXECUTE FUNCTION kept()"
            ),
            _ => format!(
                "CREATE TRIGGER kept BEFORE DELETE ON {table} FOR EACH ROW
                 BEGIN IF {condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{WORDS}'; END IF; END"
            ),
        };
        (self.execute)(&statement);
    }
}

facts! {
    async fn an_unclaimable_row_stays_alone(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let params = |n: usize| if [0, 1, 7].contains(&n) { "bad" } else { "good" };
        let rows = (0..20).map(|n| NewTask { params: params(n).to_owned(), ..tasks(1).remove(0) });
        writer.push(rows.collect()).await;
        let payload = |n: usize| message(params(n).as_bytes());
        writer.send((0..20).map(payload).collect()).await;
        world.refuse("task", "UPDATE", "delay_queue_log", "NEW.status = 2 AND NEW.params = 'bad'");
        let bad = match world.name {
            "PostgreSQL" => "NEW.owner <> '' AND NEW.payload = 'bad'::bytea",
            "SQLite" => "NEW.owner <> '' AND CAST(NEW.payload AS TEXT) = 'bad'",
            _ => "NEW.owner <> '' AND NEW.payload = 'bad'",
        };
        world.refuse("message", "UPDATE", "queue_message", bad);
        let claimed = writer.claim(ME, 10).await;
        assert_eq!(claimed.len(), 10);
        assert!(claimed.iter().all(|task| task.params == "good"));
        assert_eq!(writer.claim(ME, 10).await.len(), 7, "all others");
        assert_eq!(writer.claim(ME, 10).await.len(), 0);
        let waiting = "SELECT count(*) AS line FROM delay_queue_log WHERE status = 1 AND owner = ''";
        assert_eq!(world.line(waiting), "3");
        let fetched = writer.fetch(ME, 10).await;
        assert_eq!(fetched.len(), 10);
        assert!(fetched.iter().all(|message| message.payload == "good"));
        assert_eq!(writer.fetch(ME, 10).await.len(), 7);
    }

    async fn many_unclaimable_rows_block_for_moments(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let row = |params: &str| NewTask { params: params.to_owned(), ..tasks(1).remove(0) };
        writer.push((0..600).map(|_| row("bad")).collect()).await;
        writer.push(vec![row("good")]).await;
        world.refuse("task", "UPDATE", "delay_queue_log", "NEW.status = 2 AND NEW.params = 'bad'");
        let mut longest = Duration::ZERO;
        let begun = std::time::Instant::now();
        loop {
            let asked = std::time::Instant::now();
            let claimed = writer.claim(ME, 100).await;
            longest = longest.max(asked.elapsed());
            if claimed.iter().any(|task| task.params == "good") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{longest:?}");
        }
        assert!(longest < Duration::from_secs(10), "{longest:?}");
    }

    async fn an_unreleasable_row_blocks_no_other(world) {
        let mut writer = world.writer().await;
        for owner in [ME, OTHER] {
            writer.begin(owner).await;
        }
        let row = |params: &str| NewTask { params: params.to_owned(), ..tasks(1).remove(0) };
        writer.push(vec![row("good"), row("bad"), row("good")]).await;
        writer.send(vec![message(b"x")]).await;
        assert_eq!(writer.claim(OTHER, 3).await.len(), 3);
        assert_eq!(writer.fetch(OTHER, 1).await.len(), 1);
        world.refuse("task", "UPDATE", "delay_queue_log", "NEW.status = 1 AND NEW.params = 'bad'");
        world.silence(OTHER, 60_000);
        let reaped = writer.reap_silent().await;
        assert_eq!(reaped.boots, [OTHER]);
        assert_eq!((reaped.tasks, reaped.messages), (2, 1));
        assert_eq!(writer.claim(ME, 9).await.len(), 2);
        let owner = ME.to_owned();
        let back = ReleaseTasks { owner, keep: Vec::new() };
        assert_eq!(writer.write(back).await, 2);
    }

    async fn an_undeletable_row_blocks_no_other(world) {
        let mut writer = world.writer().await;
        let row = |params: &str| NewTask { params: params.to_owned(), ..tasks(1).remove(0) };
        writer.push(vec![row("good"), row("bad"), row("good")]).await;
        (world.execute)("UPDATE delay_queue_log SET status = 3");
        world.refuse_deletes("delay_queue_log", "OLD.params = 'bad'");
        let before_s = now_ms() / 1000 + 10;
        assert_eq!(writer.write(TrimTasks { before_s }).await, 2);
        assert_eq!(world.line("SELECT params AS line FROM delay_queue_log"), "bad");
    }

    async fn an_unreadable_row_blocks_no_other(world) {
        if world.name == "PostgreSQL" {
            return; // It holds text that is text, and nothing else.
        }
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.push(tasks(3)).await;
        let not_text = match world.name {
            "SQLite" => "CAST(x'ff' AS TEXT)",
            _ => "CAST(x'ff' AS BINARY)",
        };
        if world.name != "SQLite" {
            (world.execute)("ALTER TABLE delay_queue_log MODIFY params BLOB");
        }
        (world.execute)(&format!("UPDATE delay_queue_log SET params = {not_text} WHERE id = 1"));
        world.refuse("letter", "INSERT", "dead_letter", "NEW.kind = 'delay'");
        assert_eq!(writer.claim(ME, 10).await.len(), 2);
        assert_eq!(world.status(1), "1");
    }
}
