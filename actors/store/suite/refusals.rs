//! Writes that the database refuses for what is in them. Nobody else waits for them.

use super::*;
use crate::store::columns::RUN_ENDED;
use crate::store::traits::Applied;
use crate::store::truncate::result_text;

impl World {
    /// From now on rows that meet the condition are refused, in words that an outage could have. `event` is `INSERT` or
    /// `UPDATE`.
    pub(super) fn refuse(&self, name: &str, event: &str, table: &str, condition: &str) {
        let (code, words) = match self.name {
            "SQLite" => ("", "database is locked: "),
            "PostgreSQL" => ("", "the database system is away: "),
            _ => ("", "Lost connection: "),
        };
        self.refuse_as(
            (code, &format!("{words}{WORDS}")),
            name,
            event,
            table,
            condition,
        );
    }

    /// The same, as a server does whose disk is full.
    fn refuse_as_if_full(&self, name: &str, event: &str, table: &str, condition: &str) {
        let said = match self.name {
            "SQLite" => ("", FULL),
            "PostgreSQL" => (" USING ERRCODE = '53100'", FULL),
            _ => (", MYSQL_ERRNO = 1114", FULL),
        };
        self.refuse_as(said, name, event, table, condition);
    }

    fn refuse_as(
        &self,
        (code, words): (&str, &str),
        name: &str,
        event: &str,
        table: &str,
        condition: &str,
    ) {
        let statement = match self.name {
            "SQLite" => format!(
                "CREATE TRIGGER refuse_{name} BEFORE {event} ON {table} WHEN {condition}
                 BEGIN SELECT RAISE(ABORT, '{words}'); END"
            ),
            "PostgreSQL" => format!(
                "CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF {condition} THEN RAISE EXCEPTION '{words}'{code}; END IF;
                 RETURN NEW; END $$;
                 CREATE TRIGGER refuse_{name} BEFORE {event} ON {table}
                 FOR EACH ROW EXECUTE FUNCTION refuse_{name}()"
            ),
            _ => format!(
                "CREATE TRIGGER refuse_{name} BEFORE {event} ON {table} FOR EACH ROW
                 BEGIN IF {condition} THEN
                     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{words}'{code};
                 END IF; END"
            ),
        };
        (self.execute)(&statement);
    }
}

impl World {
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

impl World {
    /// As people have made the Go project's tables: of 100 characters, and MySQL's of three bytes each at most.
    fn narrow_results(&self) {
        for table in ["delay_queue_log", "crontab_log"] {
            match self.name {
                "SQLite" => {}
                "PostgreSQL" => {
                    (self.execute)(&format!(
                        "ALTER TABLE {table} ALTER COLUMN result TYPE VARCHAR(100)"
                    ));
                }
                _ => (self.execute)(&format!(
                    "ALTER TABLE {table}
                        MODIFY result VARCHAR(100) CHARACTER SET utf8mb3 NOT NULL DEFAULT '',
                        MODIFY name VARCHAR(255) CHARACTER SET latin1 NOT NULL DEFAULT ''"
                )),
            }
        }
    }

    fn result_of(&self, table: &str, condition: &str) -> serde_json::Value {
        let question = format!("SELECT result AS line FROM {table} WHERE {condition}");
        serde_json::from_str(&self.line(&question)).unwrap()
    }
}

const WORDS: &str = "the queue is full, Too many connections";
/// SQLite's own words.
const FULL: &str = "database or disk is full";

fn push(params: &str) -> Write {
    let task = NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms: now_ms() + 3_600_000,
        claimed: false,
        trace: None,
    };
    InsertTasks {
        rows: vec![task],
        owner: String::new(),
    }
    .into()
}

/// The places of those that were refused, each with the server's own words; all others are committed.
fn refused(applied: Applied) -> Vec<usize> {
    assert!(applied.away.is_none(), "{:?}", applied.away);
    let answers = applied.answers().into_iter().enumerate();
    let refused = answers.filter_map(|(at, answer)| match answer {
        Ok(_) => None,
        Err(crate::store::DbError::Refused(why)) => {
            assert!(why.contains(WORDS) || why.contains(FULL), "{why}");
            Some(at)
        }
        Err(other) => panic!("{other:?}"),
    });
    refused.collect()
}

facts! {
    async fn a_write_that_a_trigger_refuses_fails_alone_whatever_it_says(world) {
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

    async fn a_row_that_cannot_be_claimed_stays_and_the_others_go_on(world) {
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

    async fn many_rows_that_cannot_be_claimed_hold_up_the_others_for_moments(world) {
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

    async fn a_row_that_cannot_be_given_back_keeps_no_other_from_it(world) {
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

    async fn a_row_that_cannot_be_deleted_keeps_no_other_from_it(world) {
        let mut writer = world.writer().await;
        let row = |params: &str| NewTask { params: params.to_owned(), ..tasks(1).remove(0) };
        writer.push(vec![row("good"), row("bad"), row("good")]).await;
        (world.execute)("UPDATE delay_queue_log SET status = 3");
        world.refuse_deletes("delay_queue_log", "OLD.params = 'bad'");
        let before_s = now_ms() / 1000 + 10;
        assert_eq!(writer.write(TrimTasks { before_s }).await, 2);
        assert_eq!(world.line("SELECT params AS line FROM delay_queue_log"), "bad");
    }

    async fn an_unreadable_row_whose_dead_letter_is_refused_holds_up_no_other(world) {
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

    async fn a_run_begins_and_ends_whatever_the_log_for_people_refuses(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        assert!(writer.fired(fire("e", 1000, "u1", true)).await);
        let table = "crontab_log";
        world.refuse("rows", "INSERT", table, "NEW.uk <> ''");
        world.refuse("ends", "UPDATE", table, "NEW.uk <> ''");
        assert!(writer.fired(fire("e", 2000, "u2", true)).await);
        for uk in ["u1", "u2"] {
            let uk = uk.to_owned();
            let started = RunStarted { uk: uk.clone(), pid: 7, start_ticks: None };
            writer.write(started).await;
            let run = format!("SELECT pid AS line FROM cron_run WHERE uk = '{uk}'");
            assert_eq!(world.line(&run), "7");
            let end = RunEnd {
                uk: uk.clone(),
                status: "success".to_owned(),
                result: "r".to_owned(),
                pid: 7,
                ended_ms: now_ms(),
                only_of: None,
            };
            assert!(writer.write(EndRun(end)).await);
            let state = format!("SELECT state AS line FROM cron_run WHERE uk = '{uk}'");
            assert_eq!(world.line(&state), RUN_ENDED.to_string());
        }
    }

    async fn an_entry_that_is_refused_keeps_no_other_from_being_known(world) {
        let mut writer = world.writer().await;
        world.refuse("entry", "INSERT", "cron_entry", "NEW.entry = 'bad'");
        let begun = now_ms();
        let first = writer.sync(&["a", "bad", "c"]).await;
        assert!(first.iter().all(|since| *since >= begun));
        let live = "SELECT entry AS line FROM cron_entry WHERE live = 1 ORDER BY entry";
        assert_eq!(world.lines(live), ["a", "c"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let again = writer.sync(&["a", "bad", "c"]).await;
        assert_eq!((again[0], again[2]), (first[0], first[2]), "they are known");
        assert!(again[1] > first[1], "it fires from now on");
    }

    async fn a_column_that_was_narrowed_meanwhile_is_measured_again(world) {
        if world.name == "SQLite" {
            return; // It has no widths.
        }
        let mut early = world.writer().await;
        early.begin(ME).await;
        early.push(tasks(2)).await;
        let claimed = early.claim(ME, 2).await;
        early.end(ME, &claimed[0], (Disposition::Complete, &result_text(true, &1.into()))).await;
        world.narrow_results();
        let result = result_text(true, &"测".repeat(400).into());
        early.end(ME, &claimed[1], (Disposition::Complete, &result)).await;
        let raw = format!("SELECT result AS line FROM delay_queue_log WHERE id = {}", claimed[1].id);
        let raw = world.line(&raw);
        assert!(raw.contains("测测测"), "as it is, and shorter: {raw}");
    }

    async fn an_end_is_written_whatever_its_column_holds(world) {
        // Open before the columns become narrower, as a daemon's is.
        let mut early = world.writer().await;
        early.begin(ME).await;
        early.push(tasks(4)).await;
        let claimed = early.claim(ME, 3).await;
        world.narrow_results();
        let mut late = world.writer().await;
        let long = "😀\"".repeat(400);
        for (writer, task) in [&mut early, &mut late].into_iter().zip(&claimed) {
            let result = result_text(true, &long.as_str().into());
            writer.end(ME, task, (Disposition::Complete, &result)).await;
            assert_eq!(world.status(task.id), "3");
            let written = world.result_of("delay_queue_log", &format!("id = {}", task.id));
            assert_eq!(written["status"], true);
            let data = written["data"].as_str().unwrap();
            assert!(data.starts_with("😀\"😀"), "{data}");
        }
        let short = result_text(false, &"a 😀".into());
        let outcome = (dead("an 😀", 1), short.as_str());
        late.end(ME, &claimed[2], outcome).await;
        assert_eq!(world.status(claimed[2].id), "4");
        let written = world.result_of("delay_queue_log", &format!("id = {}", claimed[2].id));
        assert_eq!(written["data"], "a 😀", "whole, in whatever characters");
        // Its own column would hold it; but the whole end is written plainly.
        let error = world.line("SELECT error AS line FROM dead_letter");
        assert!(["an 😀", "an \\ud83d\\ude00"].contains(&error.as_str()), "{error}");
        assert!(late.fired(Fire { name: "一😀".to_owned(), ..fire("e", 1000, "u1", true) }).await);
        let end = RunEnd {
            uk: "u1".to_owned(),
            status: "success".to_owned(),
            result: result_text(0, &long.as_str().into()),
            pid: 1,
            ended_ms: now_ms(),
            only_of: None,
        };
        assert!(late.write(EndRun(end)).await);
        assert_eq!(world.result_of("crontab_log", "uk = 'u1'")["status"], 0);
    }

    async fn an_end_whose_words_are_refused_is_written_without_them(world) {
        if world.name == "SQLite" {
            return; // It has no character sets and no widths; what refuses words there is the user's own.
        }
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.push(tasks(2)).await;
        world.refuse("words", "UPDATE", "delay_queue_log", "NEW.result <> ''");
        let claimed = writer.claim(ME, 2).await;
        let result = result_text(true, &1.into());
        let ends = claimed.iter().map(|task| task_end(task, Disposition::Complete, &result));
        let ends: Vec<TaskEnd> = ends.collect();
        let both = EndTasks { owner: ME.to_owned(), ends: ends.clone() };
        assert_eq!(refused(writer.0.apply([both.into()].into()).await), [0], "they are tried one by one");
        for end in ends {
            let id = end.id;
            writer.write(EndTasks { owner: ME.to_owned(), ends: vec![end] }).await;
            assert_eq!(world.status(id), "3");
        }
    }

    async fn entries_with_long_names_and_expressions_are_known(world) {
        let mut writer = world.writer().await;
        let entry = |key: &str, text: String| KnownEntry {
            former: Vec::new(),
        entry: key.to_owned(),
            name: text.clone(),
            expression: text,
        };
        let entries = vec![entry("a", "测".repeat(321)), entry("b", "0 * * * * *".to_owned())];
        for _ in 0..2 {
            let sync = SyncEntries { partition: "script1".to_owned(), entries: entries.clone() };
            let since = writer.write(sync).await;
            assert_eq!(since.len(), 2);
        }
    }

    async fn a_dead_message_keeps_all_there_is_of_it(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let row = NewMessage {
            payload: Bytes::from(vec![0xff; 3 << 20]),
            key: Some(Bytes::from_static(b"\0k")),
            headers: vec![("h".to_owned(), Bytes::from_static(b"v"))],
        };
        writer.send(vec![row.clone()]).await;
        let fetched = writer.fetch(ME, 1).await.remove(0);
        let outcome = dead("no", 3);
        writer.settle(ME, &fetched, outcome).await;
        let dead_letters = world.store.reader().dead_letters(DeadLetterFilter::default(), 9).await.unwrap();
        let dead_letter = &dead_letters[0];
        assert_eq!(dead_letters.len(), 1);
        assert_eq!(dead_letter.payload.as_slice(), row.payload.as_ref());
        assert_eq!(dead_letter.key.as_deref(), row.key.as_deref());
        assert_eq!((dead_letter.headers.len(), dead_letter.attempts), (1, 3));
        assert_eq!(world.lag("q").await, 0);
    }
}
