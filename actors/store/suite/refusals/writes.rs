//! A refused write fails alone.

use super::*;

impl World {
    /// Rows that meet the condition are refused as by a server whose disk is full.
    fn refuse_as_if_full(&self, name: &str, event: &str, table: &str, condition: &str) {
        let said = match self.name {
            "SQLite" => ("", FULL),
            "PostgreSQL" => (" USING ERRCODE = '53100'", FULL),
            _ => (", MYSQL_ERRNO = 1114", FULL),
        };
        self.refuse_as(said, name, event, table, condition);
    }

    /// Does this for each task that is claimed.
    fn on_claim(&self, statement: &str) {
        let claimed = "NEW.status = 2";
        let statement = match self.name {
            "SQLite" => format!(
                "CREATE TRIGGER on_claim AFTER UPDATE ON delay_queue_log WHEN {claimed} BEGIN {statement}; END"
            ),
            "PostgreSQL" => format!(
                "CREATE FUNCTION on_claim() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF {claimed} THEN {statement}; END IF; RETURN NEW; END $$;
                 CREATE TRIGGER on_claim AFTER UPDATE ON delay_queue_log
                 FOR EACH ROW EXECUTE FUNCTION on_claim()"
            ),
            _ => format!(
                "CREATE TRIGGER on_claim AFTER UPDATE ON delay_queue_log FOR EACH ROW
                 BEGIN IF {claimed} THEN {statement}; END IF; END"
            ),
        };
        (self.execute)(&statement);
    }
}

fn push(params: &str) -> Write {
    InsertTasks {
        rows: vec![task(params, now_ms() + 3_600_000)],
        owner: String::new(),
    }
    .into()
}

facts! {
    async fn a_write_that_a_trigger_refuses_fails_alone(world) {
        world.refuse("task", "INSERT", "delay_queue_log", "NEW.params = 'bad'");
        world.refuse("message", "INSERT", "queue_message", "NEW.queue = 'bad'");
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let params = |n: usize| if n == 7 || n == 63 { "bad" } else { "good" };
        let mut batch: Vec<Write> = (0..100).map(|n| push(params(n))).collect();
        batch.push(InsertMessages { queue: "bad".to_owned(), rows: vec![message(b"x")] }.into());
        batch.push(InsertMessages { queue: "q".to_owned(), rows: vec![message(b"x")] }.into());
        let begun = std::time::Instant::now();
        assert_eq!(refused(writer.0.apply(batch.into()).await), [7, 63, 100]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(world.line("SELECT COUNT(*) AS line FROM delay_queue_log"), "98");
        assert_eq!(world.lag("q").await, 1);
        assert!(refused(writer.0.apply([push("good")].into()).await).is_empty(), "the same connection");
    }

    async fn a_write_that_finds_its_table_full_fails_alone(world) {
        world.refuse_as_if_full("task", "INSERT", "delay_queue_log", "NEW.params = 'bad'");
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let params = |n: usize| if n == 7 || n == 15 { "bad" } else { "good" };
        let batch: Vec<Write> = (0..20).map(|n| push(params(n))).collect();
        let begun = std::time::Instant::now();
        assert_eq!(refused(writer.0.apply(batch.into()).await), [7, 15]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(world.line("SELECT COUNT(*) AS line FROM delay_queue_log"), "18");
    }

    async fn what_a_unique_key_of_others_refuses_is_left_out(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let rows = (0..4).map(|n| NewTask { params: n.to_string(), ..tasks(1).remove(0) });
        writer.push(rows.collect()).await;
        (world.execute)("CREATE TABLE noted_by_others (params VARCHAR(9) NOT NULL PRIMARY KEY)");
        (world.execute)("INSERT INTO noted_by_others VALUES ('0')");
        world.on_claim("INSERT INTO noted_by_others VALUES (NEW.params)");
        let begun = std::time::Instant::now();
        let claimed = writer.claim(ME, 10).await;
        let params: Vec<&str> = claimed.iter().map(|task| task.params.as_str()).collect();
        assert_eq!(params, ["1", "2", "3"]);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
