//! Dead letters: found, run again, deleted.

use super::*;
use crate::store::rows::{DeadLetter, DeadLetterOrder, Origin, Replay, ReplayTo, Side};
use crate::store::write::{DeleteDeadLetters, ReplayDeadLetters};

fn elsewhere(kind: &'static str, name: &str, error: &str) -> NewDeadLetter {
    NewDeadLetter {
        kind,
        source: "list".to_owned(),
        entry: EntryName {
            name: name.to_owned(),
            exec_cmd: "order".to_owned(),
        },
        original_id: "b/7".to_owned(),
        payload: Bytes::from_static(b"\0\xff"),
        key: Some(Bytes::from_static(b"\xff")),
        headers: vec![("trace".to_owned(), Bytes::from_static(b"\0"))],
        error: error.to_owned(),
        attempts: 5,
        partition: "script1".to_owned(),
        first_ms: 7,
    }
}

fn to_queue(id: i64, queue: &str) -> Replay {
    let to = ReplayTo::Queue(queue.to_owned());
    Replay {
        id,
        to,
        payload: None,
    }
}

impl World {
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Vec<DeadLetter> {
        let reader = self.store.reader();
        reader.dead_letters(filter, 100).await.unwrap()
    }

    async fn dead_letter_ids(&self) -> Vec<i64> {
        let dead_letters = self.dead_letters(DeadLetterFilter::default()).await;
        dead_letters
            .into_iter()
            .map(|dead_letter| dead_letter.id)
            .collect()
    }
}

impl Connection {
    async fn recover(&mut self, dead_letters: Vec<NewDeadLetter>) {
        self.write(InsertDeadLetters { dead_letters }).await;
    }

    async fn replay(&mut self, dead_letters: Vec<Replay>) -> Vec<Option<i64>> {
        let replay = ReplayDeadLetters {
            dead_letters,
            order: None,
        };
        self.write(replay).await.rows
    }
}

facts! {
    async fn dead_letters_are_counted_by_where_they_came_from(world) {
        let mut writer = world.writer().await;
        assert_eq!(world.store.reader().dead_letter_sources().await.unwrap(), []);
        let from = |kind, source: &str, name| NewDeadLetter { source: source.to_owned(), ..elsewhere(kind, name, "e") };
        writer.recover(vec![
            from("redis", "b", "mails"),
            from("kafka", "z", "clicks"),
            from("redis", "a", "before"),
            from("redis", "a", "orders"),
            from("kafka", "z", "clicks"),
            from("redis", "a", "orders"),
        ]).await;
        let sources = world.store.reader().dead_letter_sources().await.unwrap();
        let sources: Vec<_> = sources.iter().map(|of| (&*of.kind, &*of.source, &*of.name, of.count)).collect();
        assert_eq!(sources, [("kafka", "z", "clicks", 2), ("redis", "a", "orders", 3), ("redis", "b", "mails", 1)]);
    }

    async fn a_replayed_message_keeps_all_but_its_attempts(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.recover(vec![elsewhere("redis", "orders", "boom")]).await;
        let id = world.dead_letter_ids().await[0];
        let rows = writer.replay(vec![to_queue(id, "q")]).await;
        assert!(world.dead_letter_ids().await.is_empty());
        let again = writer.fetch(ME, 9).await;
        assert_eq!(rows, [Some(again[0].id)]);
        let again = &again[0];
        assert_eq!((&again.payload[..], again.key.as_deref()), (&b"\0\xff"[..], Some(&b"\xff"[..])));
        assert_eq!(again.headers, [("trace".to_owned(), Bytes::from_static(b"\0"))]);
        assert_eq!((again.attempts, again.suspect), (0, false));
        let origin = Origin { kind: "redis".to_owned(), source: "list".to_owned(), id: "b/7".to_owned() };
        assert_eq!(again.origin.as_ref(), Some(&origin));

        let dead = dead("again", 3);
        writer.settle(ME, again, dead).await;
        let dead_letter = world.dead_letters(DeadLetterFilter::default()).await.remove(0);
        let from = (dead_letter.kind.as_str(), dead_letter.source.as_str(), dead_letter.original_id.as_str());
        assert_eq!(from, ("redis", "list", "b/7"), "it dies under the name it had");
        assert_eq!((dead_letter.first_ms, dead_letter.attempts, dead_letter.error.as_str()), (7, 3, "again"));
        assert_eq!((&dead_letter.payload[..], dead_letter.key.as_deref()), (&b"\0\xff"[..], Some(&b"\xff"[..])));
    }

    async fn a_replayed_row_of_a_table_is_a_row_like_any_other(world) {
        let mut writer = world.writer().await;
        writer.send(vec![message(b"x")]).await;
        let fetched = writer.fetch(ME, 1).await.remove(0);
        let dead = dead("e", 3);
        writer.settle(ME, &fetched, dead.clone()).await;
        let id = world.dead_letter_ids().await[0];
        writer.replay(vec![to_queue(id, "q")]).await;
        let again = writer.fetch(ME, 1).await.remove(0);
        assert_eq!((again.origin.as_ref(), again.attempts), (None, 0));
        writer.settle(ME, &again, dead).await;
        let dead_letter = world.dead_letters(DeadLetterFilter::default()).await.remove(0);
        assert_eq!((dead_letter.kind.as_str(), dead_letter.source.as_str()), ("queue", "q"));
        assert_eq!(dead_letter.original_id, again.id.to_string());
    }

    async fn a_replayed_task_is_a_new_row_due_now(world) {
        let mut writer = world.writer().await;
        let odd = "'; -- \" \\ % 测试 😀";
        let ids = writer.push(vec![task(odd, now_ms() - 90_000)]).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        let failed = (dead("e", 5), "{}");
        writer.end(ME, &claimed, failed).await;
        let dead_letter = world.dead_letter_ids().await[0];
        let before = now_ms();
        let rows = writer.replay(vec![Replay { id: dead_letter, to: ReplayTo::DelayQueue, payload: None }]).await;
        let again = writer.claim(ME, 9).await.remove(0);
        assert_eq!(rows, [Some(again.id)]);
        assert_ne!(again.id, ids[0]);
        assert_eq!((again.name.as_str(), again.exec_cmd.as_str(), again.params.as_str()), ("n", "job", odd));
        assert_eq!((again.attempts, again.suspect), (0, false));
        assert!((before..=now_ms()).contains(&again.due_ms), "{}", again.due_ms);
        assert_eq!(world.status(ids[0]), "4", "the row that failed stays as it is");
        let filled = world.line(&format!(
            "SELECT count(*) AS line FROM delay_queue_log WHERE id = {} AND create_time IS NOT NULL", again.id
        ));
        assert_eq!(filled, "1");
        assert!(world.dead_letter_ids().await.is_empty());
    }

    async fn a_dead_letter_replayed_by_many_at_once_runs_once(world) {
        world.writer().await.recover((0..40).map(|_| elsewhere("kafka", "orders", "e")).collect()).await;
        let mut ids = world.dead_letter_ids().await;
        ids.reverse();
        let replays = (0..4).map(|_| {
            let (world, ids) = (Rc::clone(&world), ids.clone());
            async move {
                let mut writer = world.writer().await;
                let mut rows = Vec::new();
                for portion in ids.chunks(7) {
                    rows.extend(writer.replay(portion.iter().map(|id| to_queue(*id, "q")).collect()).await);
                }
                rows
            }
        });
        let answers = futures_util::future::join_all(replays).await;
        let mut rows: Vec<i64> = answers.iter().flatten().flatten().copied().collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), 40, "each dead letter became one row, and was reported once");
        assert_eq!(answers.iter().flatten().flatten().count(), 40);
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message"), "40");
        assert!(world.dead_letter_ids().await.is_empty());
    }

    async fn a_replay_that_cannot_insert_leaves_the_dead_letter(world) {
        let mut writer = world.writer().await;
        writer.recover(vec![elsewhere("kafka", "orders", "e")]).await;
        let id = world.dead_letter_ids().await[0];
        (world.execute)("ALTER TABLE queue_message RENAME TO gone");
        let dead_letters = vec![to_queue(id, "q")];
        let applied = writer.0.apply([ReplayDeadLetters { dead_letters, order: None }.into()].into()).await;
        let answers = applied.answers();
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        (world.execute)("ALTER TABLE gone RENAME TO queue_message");
        assert_eq!(world.dead_letter_ids().await, [id]);
    }

    async fn dead_letters_are_found_by_what_they_are(world) {
        let mut writer = world.writer().await;
        let dead_letters = vec![
            elsewhere("redis", "orders", "Boom: 100% full"),
            elsewhere("kafka", "orders", "boom: 1000 full"),
            elsewhere("kafka", "clicks", "timeout"),
        ];
        writer.recover(dead_letters).await;
        (world.execute)("UPDATE dead_letter SET died_ms = 1000 * id");
        let ids = world.dead_letter_ids().await;
        assert!(ids[0] > ids[1] && ids[1] > ids[2], "the newest first");
        let (clicks, second, first) = (ids[0], ids[1], ids[2]);
        let any = DeadLetterFilter::default;
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (any(), vec![clicks, second, first]),
            (DeadLetterFilter { kind: some("kafka"), ..any() }, vec![clicks, second]),
            (DeadLetterFilter { name: some("orders"), ..any() }, vec![second, first]),
            (DeadLetterFilter { name: some("orders"), kind: some("kafka"), ..any() }, vec![second]),
            (DeadLetterFilter { exec_cmd: some("other"), ..any() }, vec![]),
            (DeadLetterFilter { error: some("BOOM"), ..any() }, vec![second, first]),
            (DeadLetterFilter { error: some("100% f"), ..any() }, vec![first]),
            (DeadLetterFilter { error: some("t_meout"), ..any() }, vec![]),
            (DeadLetterFilter { source: some("lists"), ..any() }, vec![]),
            (DeadLetterFilter { source: some("list"), kind: some("redis"), ..any() }, vec![first]),
            (DeadLetterFilter { error_like: some("%: 100!% f%"), ..any() }, vec![first]),
            (DeadLetterFilter { since_ms: Some(1000 * second), ..any() }, vec![clicks, second]),
            (DeadLetterFilter { until_ms: Some(1000 * second), ..any() }, vec![first]),
            (DeadLetterFilter { ids: vec![clicks, first, 999_999], ..any() }, vec![clicks, first]),
        ];
        let reader = world.store.reader();
        for (filter, wanted) in cases {
            let found: Vec<i64> = world.dead_letters(filter.clone()).await.iter().map(|l| l.id).collect();
            assert_eq!(found, wanted, "{filter:?}");
            let heads = reader.dead_letter_heads(filter.clone(), 0, 100).await.unwrap();
            let found: Vec<i64> = heads.iter().rev().map(|head| head.id).collect();
            assert_eq!(found, wanted, "the oldest first: {filter:?}");
        }
        let above = reader.dead_letter_heads(any(), first, 1).await.unwrap();
        assert_eq!((above[0].id, above.len()), (second, 1));
        assert_eq!((above[0].source.as_str(), above[0].partition.as_str()), ("list", "script1"));
        let dead_letter = reader.dead_letters(any(), 1).await.unwrap().remove(0);
        assert_eq!(dead_letter.headers, [("trace".to_owned(), Bytes::from_static(b"\0"))]);
    }

    async fn deleted_dead_letters_are_gone_and_others_stay(world) {
        let mut writer = world.writer().await;
        writer.recover((0..3).map(|_| elsewhere("redis", "orders", "e")).collect()).await;
        let mut ids = world.dead_letter_ids().await;
        let kept = ids.remove(1);
        ids.push(999_999);
        let delete = DeleteDeadLetters { ids, order: None };
        let deleted = writer.write(delete).await;
        assert_eq!((deleted.count, deleted.audit, world.dead_letter_ids().await), (2, None, vec![kept]));
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message"), "0");
    }

    async fn a_scan_is_bounded_from_either_end(world) {
        let mut writer = world.writer().await;
        let dead_letters = (0..5).map(|n| elsewhere("redis", "orders", &format!("no {n}"))).collect();
        writer.recover(dead_letters).await;
        let scan = async |side, dead_letters| {
            let scan = world.store.reader().dead_letter_scan(side, dead_letters).await.unwrap();
            let mut errors: Vec<String> = scan.dead_letters.into_iter().map(|dead_letter| dead_letter.error).collect();
            errors.sort_unstable();
            (errors.join(", "), scan.is_all)
        };
        for (side, dead_letters, found, is_all) in [
            (Side::Newest, 2, "no 3, no 4", false),
            (Side::Oldest, 2, "no 0, no 1", false),
            (Side::Newest, 5, "no 0, no 1, no 2, no 3, no 4", true),
            (Side::Oldest, 9, "no 0, no 1, no 2, no 3, no 4", true),
        ] {
            assert_eq!(scan(side, dead_letters).await, (found.to_owned(), is_all), "{side:?} {dead_letters}");
        }
    }

    async fn an_audited_order_is_one_growing_row(world) {
        let mut writer = world.writer().await;
        writer.recover((0..5).map(|_| elsewhere("redis", "orders", "e")).collect()).await;
        let ids = world.dead_letter_ids().await;
        let mut order = DeadLetterOrder {
            environment: "dev".to_owned(),
            ordered_by: "ann@web-1".to_owned(),
            target: "dead letters of queue `测试`".to_owned(),
            row: None,
            before: 0,
        };
        let result = || world.lines("SELECT action || ':' || target || ':' || result AS line FROM audit ORDER BY id");
        let mut gone = vec![999_999];
        for (portion, so_far) in [(&[][..], 0), (&ids[..1], 1), (&[], 1), (&ids[1..3], 3)] {
            gone.extend(portion);
            let dead_letters = gone.iter().map(|id| to_queue(*id, "q")).collect();
            let replay = ReplayDeadLetters { dead_letters, order: Some(order.clone()) };
            let replayed = writer.write(replay).await;
            order.before += replayed.rows.iter().flatten().count();
            order.row = replayed.audit;
            let said = match so_far {
                0 => vec![],
                1 => vec!["replay:dead letters of queue `测试`:1 dead letter"],
                _ => vec!["replay:dead letters of queue `测试`:3 dead letters"],
            };
            assert_eq!((order.before, result()), (so_far, said.into_iter().map(str::to_owned).collect()));
        }
        order = DeadLetterOrder { row: None, before: 0, ..order };
        let delete = DeleteDeadLetters { ids: ids.clone(), order: Some(order) };
        let deleted = writer.write(delete).await;
        assert_eq!((deleted.count, deleted.audit.is_some()), (2, true));
        assert_eq!(result()[1], "purge:dead letters of queue `测试`:2 dead letters");
    }

    async fn a_replay_may_change_the_payload_alone(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.recover(vec![elsewhere("redis", "orders", "boom")]).await;
        let id = world.dead_letter_ids().await[0];
        let payload = Some(Bytes::from_static(b"\0mended\xff"));
        writer.replay(vec![Replay { payload, ..to_queue(id, "q") }]).await;
        let again = writer.fetch(ME, 9).await.remove(0);
        assert_eq!((&again.payload[..], again.key.as_deref()), (&b"\0mended\xff"[..], Some(&b"\xff"[..])));
        assert_eq!(again.headers, [("trace".to_owned(), Bytes::from_static(b"\0"))]);
    }
}
