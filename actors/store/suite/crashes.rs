//! Crashes are counted for what ran: tasks, messages, and what lives elsewhere.

use super::*;
use crate::backoff::Backoff;
use crate::store::rows::{FailedAttempt, OutsideId, Victim};
use crate::store::write::{ForgetDeaths, NoteFailures};

fn crash(victim: Victim, max_attempts: u32) -> Crash {
    Crash {
        victim,
        how: "SIGABRT".to_owned(),
        certain: true,
        max_attempts,
        backoff: Backoff {
            base: Duration::from_secs(60),
            max: Duration::from_secs(60),
        },
    }
}

facts! {
    async fn an_uncertain_crash_marks_messages_without_an_attempt(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.send(vec![message(b"x"), message(b"y"), message(b"z")]).await;
        writer.fetch(OTHER, 3).await;
        let uncertain = |id: i64| Crash {
            certain: false,
            ..crash(Victim::Message { id, entry: entry() }, 1)
        };
        let reaped = writer.reap_gone(OTHER, vec![uncertain(ids[0]), uncertain(ids[1])]).await;
        assert_eq!((reaped.messages, reaped.crashes, reaped.dead_letters.len()), (3, 2, 0));
        (world.execute)("UPDATE queue_message SET due_ms = 0");
        let mut fetched = writer.fetch(ME, 9).await;
        fetched.sort_by_key(|message| message.id);
        let seen: Vec<(u32, bool)> = fetched.iter().map(|m| (m.attempts, m.suspect)).collect();
        assert_eq!(seen, [(0, true), (0, true), (0, false)]);
    }

    async fn a_crash_is_recorded_once(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.push(tasks(2)).await;
        let messages = writer.send(vec![message(b"x"), message(b"y")]).await;
        writer.claim(OTHER, 2).await;
        writer.fetch(OTHER, 2).await;
        let crashes = || vec![
            crash(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 3),
            crash(Victim::Message { id: messages[0], entry: entry() }, 3),
        ];
        let reaped = writer.reap_gone(OTHER, crashes()).await;
        assert_eq!((reaped.tasks, reaped.messages, reaped.crashes, reaped.dead_letters.len()), (2, 2, 2, 0));
        let again = writer.reap_gone(OTHER, crashes()).await;
        assert_eq!((again.tasks, again.messages, again.crashes), (0, 0, 0));
        assert_eq!(world.lines("SELECT attempts AS line FROM delay_queue_log ORDER BY id"), ["1", "0"]);
        assert_eq!(world.lines("SELECT attempts AS line FROM queue_message ORDER BY id"), ["1", "0"]);
        // After its back-off it runs alone; its neighbour runs now.
        let (now, later) = (writer.claim(ME, 9).await, now_ms() / 1000 + 120);
        assert_eq!((now.len(), now[0].id, now[0].suspect), (1, ids[1], false));
        let suspect = writer.claim_until(ME, later, 9).await.remove(0);
        assert_eq!((suspect.id, suspect.attempts, suspect.suspect), (ids[0], 1, true));
        (world.execute)("UPDATE queue_message SET due_ms = 0");
        let fetched = writer.fetch(ME, 9).await;
        assert_eq!(fetched.iter().map(|m| m.suspect).collect::<Vec<_>>(), [true, false]);
    }

    async fn the_last_crash_makes_a_complete_dead_letter(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(vec![task("测试 'quoted' 😀", now_ms())]).await;
        let mut sent = message(b"\0\xff bytes");
        sent.key = Some(Bytes::from_static(b"key"));
        sent.headers = vec![("trace".to_owned(), Bytes::from_static(b"\x01"))];
        let messages = writer.send(vec![sent]).await;
        for (death, owner) in ["script1/a", "script1/b"].into_iter().enumerate() {
            (world.execute)("UPDATE queue_message SET due_ms = 0");
            writer.begin(owner).await;
            assert_eq!(writer.claim_until(owner, now_ms() / 1000 + 600, 1).await.len(), 1);
            assert_eq!(writer.fetch(owner, 1).await.len(), 1);
            let crashes = vec![
                crash(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 2),
                crash(Victim::Message { id: messages[0], entry: entry() }, 2),
            ];
            assert_eq!(writer.reap_gone(owner, crashes).await.dead_letters.len(), death * 2);
        }
        assert_eq!(world.status(ids[0]), "4");
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message"), "0");
        let dead_letters = world.store.reader().dead_letters(DeadLetterFilter::default(), 10).await.unwrap();
        assert_eq!(dead_letters.len(), 2);
        let of = |kind: &str| dead_letters.iter().find(|dead_letter| dead_letter.kind == kind).unwrap();
        assert_eq!(of("delay").payload, "测试 'quoted' 😀".as_bytes());
        assert_eq!(of("queue").payload, b"\0\xff bytes");
        assert_eq!((of("queue").name.as_str(), of("queue").exec_cmd.as_str()), ("orders", "order"));
        assert!(dead_letters.iter().all(|l| l.attempts == 2 && l.error.contains("SIGABRT") && l.partition == "script1"));
        let kept = world.line("SELECT headers AS line FROM dead_letter WHERE msg_key IS NOT NULL");
        assert!(kept.contains("trace"), "{kept}");
    }

    async fn an_outside_message_has_one_crash_a_process(world) {
        let mut writer = world.writer().await;
        let id = |source: &str, id: &str| OutsideId {
            kind: "kafka",
            source: source.to_owned(),
            id: id.to_owned(),
        };
        let (longest, other_case) = ("测".repeat(255), "T/g");
        let ids = [id("t/g", "0/7"), id("t/g", "0/8"), id(other_case, "0/7"), id(&longest, &longest)];
        for owner in ["script1/a", "script1/b"] {
            writer.begin(owner).await;
            let crashes = || vec![
                crash(Victim::Outside(ids[0].clone()), 2),
                Crash { certain: false, ..crash(Victim::Outside(ids[1].clone()), 2) },
                crash(Victim::Outside(ids[3].clone()), 2),
            ];
            assert_eq!(writer.reap_gone(owner, crashes()).await.crashes, 3);
            assert_eq!(writer.reap_gone(owner, crashes()).await.crashes, 0, "a death counts once");
        }
        // A boot that this database does not know.
        writer.reap_gone("script1/c", vec![crash(Victim::Outside(ids[2].clone()), 2)]).await;
        let reader = world.store.reader();
        let deaths = reader.deaths("kafka", "t/g").await.unwrap();
        let seen: Vec<(&str, u32)> = deaths.iter().map(|d| (d.id.as_str(), d.attempts)).collect();
        assert_eq!(seen, [("0/7", 2), ("0/8", 0)]);
        assert!(deaths.iter().all(|d| (30_000..=60_000).contains(&d.wait_ms)), "{deaths:?}");
        assert_eq!(reader.deaths("kafka", &longest).await.unwrap()[0].id, longest);
        assert!(reader.deaths("kafka", other_case).await.unwrap().is_empty());
        assert!(reader.deaths("redis", "t/g").await.unwrap().is_empty());
        assert_eq!(world.line("SELECT deaths AS line FROM death WHERE message_id = '0/8'"), "2");
    }

    async fn crashes_of_finished_messages_are_forgotten(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let id = |id: &str| OutsideId {
            kind: "redis",
            source: "list".to_owned(),
            id: id.to_owned(),
        };
        let crashes = ["a", "b", "c"].map(|one| crash(Victim::Outside(id(one)), 5));
        writer.reap_gone(OTHER, crashes.into()).await;
        let forgotten = writer.write(ForgetDeaths { ids: vec![id("a"), id("a"), id("z")] }).await;
        assert_eq!(forgotten, 1);
        let month_ago = now_ms() - 31 * 24 * 3600 * 1000;
        (world.execute)(&format!("UPDATE death SET died_ms = {month_ago} WHERE message_id = 'b'"));
        writer.begin(ME).await;
        assert_eq!(world.lines("SELECT message_id AS line FROM death"), ["c"]);
    }

    async fn failed_outside_attempts_make_no_suspect(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let id = |id: &str| OutsideId { kind: "kafka", source: "t/g".to_owned(), id: id.to_owned() };
        let failed = |message: &str, attempt| FailedAttempt { message: id(message), attempt, wait_ms: 60_000 };
        for failures in [vec![failed("0/1", 1), failed("0/2", 1)], vec![failed("0/1", 2)], vec![failed("0/1", 1)]] {
            writer.write(NoteFailures { failures }).await;
        }
        // The next attempt ends its process.
        writer.reap_gone(OTHER, vec![crash(Victim::Outside(id("0/2")), 5)]).await;
        let known = world.store.reader().deaths("kafka", "t/g").await.unwrap();
        let seen: Vec<_> = known.iter().map(|d| (d.id.as_str(), d.attempts, d.suspect)).collect();
        assert_eq!(seen, [("0/1", 2, false), ("0/2", 2, true)]);
        assert!(known.iter().all(|d| (30_000..=60_000).contains(&d.wait_ms)), "{known:?}");
    }

    async fn a_finished_message_has_no_crash(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        let ids = writer.push(tasks(1)).await;
        let messages = writer.send(vec![message(b"x")]).await;
        let claimed = writer.claim(OTHER, 1).await.remove(0);
        let fetched = writer.fetch(OTHER, 1).await.remove(0);
        writer.end(OTHER, &claimed, done()).await;
        writer.settle(OTHER, &fetched, Disposition::Complete).await;
        let crashes = vec![
            crash(Victim::Task { id: ids[0], exec_cmd: "c".to_owned() }, 1),
            crash(Victim::Message { id: messages[0], entry: entry() }, 1),
        ];
        let reaped = writer.reap_gone(OTHER, crashes).await;
        assert_eq!((reaped.crashes, reaped.dead_letters.len()), (0, 0));
        assert_eq!(world.status(ids[0]), "3");
    }
}
