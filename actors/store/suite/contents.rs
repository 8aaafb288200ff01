//! What is written is read again: text, bytes, ids, errors.

use super::*;

facts! {
    async fn a_failure_is_a_dead_letter(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(1)).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        assert!(writer.end(ME, &claimed, (dead(&"e".repeat(2000), 5), "{}")).await.is_empty());
        assert_eq!(world.status(ids[0]), "4");
        let dead_letter = world.store.reader().dead_letters(DeadLetterFilter::default(), 1).await.unwrap().remove(0);
        assert_eq!((dead_letter.attempts, dead_letter.error.chars().count()), (5, 1000));
        assert_eq!(dead_letter.original_id, ids[0].to_string());
    }

    async fn outside_dead_letters_keep_all_of_a_message(world) {
        let mut writer = world.writer().await;
        let dead_letter = |payload: &'static [u8]| NewDeadLetter {
            kind: "redis",
            source: "list".to_owned(),
            entry: entry(),
            original_id: "b/7".to_owned(),
            payload: Bytes::from_static(payload),
            key: Some(Bytes::from_static(b"\xff")),
            headers: vec![("trace".to_owned(), Bytes::from_static(b"\0"))],
            error: "\0".repeat(2000),
            attempts: 5,
            partition: "script1".to_owned(),
            first_ms: 7,
        };
        let dead_letters = vec![dead_letter(b"\0\xff"), dead_letter(b"")];
        writer.write(InsertDeadLetters { dead_letters }).await;
        let kept = world.store.reader().dead_letters(DeadLetterFilter::default(), 9).await.unwrap();
        let payloads: Vec<&[u8]> = kept.iter().map(|dead_letter| dead_letter.payload.as_slice()).collect();
        assert_eq!(payloads, [&b""[..], b"\0\xff"]);
        assert_eq!((kept[0].name.as_str(), kept[0].attempts, kept[0].first_ms), ("orders", 5, 7));
        assert_eq!(kept[0].error, "\u{fffd}".repeat(999) + "…");
    }

    async fn ten_thousand_inserted_rows_have_ordered_ids(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(10_000)).await;
        assert_eq!(ids.len(), 10_000);
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let (last, n) = (ids[9_999], "9999");
        assert_eq!(world.line(&format!("SELECT params AS line FROM delay_queue_log WHERE id = {last}")), n);
        let messages = writer.send((0..10_000).map(|_| message(b"x")).collect()).await;
        assert!(messages.len() == 10_000 && messages.windows(2).all(|pair| pair[0] < pair[1]));
    }

    async fn text_and_bytes_come_back_as_they_went(world) {
        let mut writer = world.writer().await;
        let odd = "'; DROP TABLE boot; -- \" \\ % _ 测试 😀\r\n\t";
        let ids = writer.push(vec![task(odd, now_ms())]).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        assert_eq!(claimed.params, odd);
        let mut sent = message(b"\0\x01\xff'\"");
        sent.key = Some(Bytes::new());
        sent.headers = vec![(odd.to_owned(), Bytes::from_static(b"\0\xff"))];
        writer.send(vec![sent.clone(), message(b"")]).await;
        let fetched = writer.fetch(ME, 2).await;
        assert_eq!((&fetched[0].payload, &fetched[0].headers), (&sent.payload, &sent.headers));
        assert_eq!((fetched[0].key.as_deref(), fetched[1].key.as_deref()), (Some(&b""[..]), None));
        assert!(fetched[1].payload.is_empty());
        let result = format!("{odd}\0{}", "😀".repeat(600));
        writer.end(ME, &claimed, (Disposition::Complete, &result)).await;
        let kept = world.line(&format!("SELECT result AS line FROM delay_queue_log WHERE id = {}", ids[0]));
        assert_eq!(kept.chars().count(), 500);
        assert!(kept.starts_with(&format!("{odd}\u{fffd}😀")) && kept.ends_with('…'), "{kept}");
    }

    async fn a_refused_write_leaves_its_neighbours_alone(world) {
        let mut writer = world.writer().await;
        (world.execute)("DROP TABLE queue_message");
        let writes: Vec<Write> = vec![
            InsertTasks { rows: tasks(1), owner: ME.to_owned() }.into(),
            InsertMessages { queue: "q".to_owned(), rows: vec![message(b"x")] }.into(),
            InsertTasks { rows: tasks(1), owner: ME.to_owned() }.into(),
        ];
        let applied = writer.0.apply(writes.into()).await;
        let fine: Vec<bool> = applied.answers().iter().map(Result::is_ok).collect();
        assert_eq!(fine, [true, false, true]);
        assert_eq!(world.line("SELECT count(*) AS line FROM delay_queue_log"), "2");
    }
}
