//! An end is written, whatever its columns refuse.

use super::*;
use crate::store::columns::RUN_ENDED;
use crate::store::truncate::result_text;

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

facts! {
    async fn a_run_ends_whatever_crontab_log_refuses(world) {
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
