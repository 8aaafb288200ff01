//! Which rows a claim gives to whom, and what releases them.

use super::*;
use crate::store::write::ReleaseMessages;

facts! {
    async fn a_row_is_claimed_by_one_of_many_claimers(world) {
        let mut first = world.writer().await;
        first.push(tasks(200)).await;
        first.send((0..200).map(|_| message(b"x")).collect()).await;
        let claimers = (0..4).map(|n| {
            let world = Rc::clone(&world);
            async move {
                let (mut writer, owner) = (world.writer().await, format!("script{n}/x"));
                let (mut ids, mut messages) = (Vec::new(), Vec::new());
                for _ in 0..20 {
                    ids.extend(writer.claim(&owner, 7).await.into_iter().map(|t| t.id));
                    messages.extend(writer.fetch(&owner, 7).await.into_iter().map(|m| m.id));
                }
                (ids, messages)
            }
        });
        let claimed = futures_util::future::join_all(claimers).await;
        let (ids, messages): (Vec<_>, Vec<_>) = claimed.into_iter().unzip();
        for mut all in [ids.concat(), messages.concat()] {
            assert_eq!(all.len(), 200);
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 200);
        }
    }

    async fn a_result_after_a_takeover_is_refused(world) {
        let mut writer = world.writer().await;
        writer.begin(OTHER).await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let stale = writer.claim(OTHER, 1).await.remove(0);
        let stale_message = writer.fetch(OTHER, 1).await.remove(0);
        writer.reap_gone(OTHER, Vec::new()).await;
        assert_eq!(writer.end(OTHER, &stale, done()).await, [stale.id]);
        assert_eq!(writer.settle(OTHER, &stale_message, Disposition::Complete).await, [stale_message.id]);
        let mine = writer.claim(ME, 1).await.remove(0);
        let my_message = writer.fetch(ME, 1).await.remove(0);
        for end in [done(), (Disposition::Release, "")] {
            assert_eq!(writer.end(OTHER, &stale, end).await, [stale.id]);
        }
        for disposition in [Disposition::Complete, Disposition::Release, dead("e", 1)] {
            assert_eq!(writer.settle(OTHER, &stale_message, disposition).await, [stale_message.id]);
        }
        assert!(writer.end(ME, &mine, done()).await.is_empty());
        assert!(writer.settle(ME, &my_message, Disposition::Complete).await.is_empty());
        assert_eq!(world.line("SELECT count(*) AS line FROM dead_letter"), "0");
    }

    async fn a_result_of_an_earlier_claim_is_refused(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let (first, earlier) = (writer.claim(ME, 1).await.remove(0), writer.fetch(ME, 1).await.remove(0));
        writer.end(ME, &first, (Disposition::Release, "")).await;
        writer.settle(ME, &earlier, Disposition::Release).await;
        let (second, later) = (writer.claim(ME, 1).await.remove(0), writer.fetch(ME, 1).await.remove(0));
        assert_eq!((second.id, later.id), (first.id, earlier.id));
        assert!(second.fence > first.fence && later.fence > earlier.fence);
        assert_eq!(writer.end(ME, &first, done()).await, [first.id]);
        assert_eq!(writer.settle(ME, &earlier, Disposition::Complete).await, [earlier.id]);
        assert!(writer.end(ME, &second, done()).await.is_empty());
        assert_eq!(writer.end(ME, &second, done()).await, [second.id], "once");
        assert!(writer.settle(ME, &later, Disposition::Complete).await.is_empty());
    }

    async fn a_retry_comes_back_when_it_is_due(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(1)).await;
        writer.send(vec![message(b"x")]).await;
        let claimed = writer.claim(ME, 1).await.remove(0);
        let due_ms = now_ms() + 60_000;
        writer.end(ME, &claimed, (Disposition::Retry(due_ms), "no")).await;
        assert!(writer.claim(ME, 9).await.is_empty());
        let again = writer.claim_until(ME, due_ms / 1000, 9).await.remove(0);
        assert_eq!((again.due_ms, again.attempts, again.suspect), (due_ms, 1, false));

        let fetched = writer.fetch(ME, 1).await.remove(0);
        writer.settle(ME, &fetched, Disposition::Retry(Duration::from_secs(60))).await;
        assert!(writer.fetch(ME, 9).await.is_empty());
        (world.execute)("UPDATE queue_message SET due_ms = due_ms - 60000");
        assert_eq!(writer.fetch(ME, 9).await[0].attempts, 1);
    }

    async fn claims_are_first_in_first_out(world) {
        let mut writer = world.writer().await;
        let sent = writer.send((0..50_u8).map(|n| message(&[n])).collect()).await;
        let mut fetched = Vec::new();
        for _ in 0..10 {
            fetched.extend(writer.fetch(ME, 5).await.into_iter().map(|m| m.id));
        }
        assert_eq!(fetched, sent);
        let now = now_ms();
        let rows = [30, 10, 20].map(|s| task(&s.to_string(), now - s * 1000));
        writer.push(rows.into()).await;
        let claimed = writer.claim(ME, 2).await;
        assert_eq!(claimed.iter().map(|t| t.params.as_str()).collect::<Vec<_>>(), ["30", "20"]);
    }

    async fn queues_do_not_see_each_other(world) {
        let mut writer = world.writer().await;
        let (queue, rows) = ("another".to_owned(), vec![message(b"x")]);
        writer.write(InsertMessages { queue, rows }).await;
        assert!(writer.fetch(ME, 9).await.is_empty());
        assert_eq!(world.lag("q").await, 0);
        assert_eq!(world.lag("another").await, 1);
    }

    async fn a_claimed_push_is_ours_from_the_start(world) {
        let mut writer = world.writer().await;
        let mut row = task("x", now_ms());
        row.claimed = true;
        let ids = writer.push(vec![row]).await;
        assert!(writer.claim(OTHER, 9).await.is_empty());
        let end = TaskEnd {
            id: ids[0],
            fence: crate::store::rows::FIRST_FENCE,
            exec_cmd: "c".to_owned(),
            disposition: Disposition::Complete,
            result: "ok".to_owned(),
        };
        let write = EndTasks { owner: ME.to_owned(), ends: vec![end] };
        assert!(writer.write(write).await.stale.is_empty());
    }

    async fn what_is_kept_is_not_released(world) {
        let mut writer = world.writer().await;
        let ids = writer.push(tasks(3)).await;
        let messages = writer.send((0..3).map(|_| message(b"x")).collect()).await;
        writer.claim(ME, 3).await;
        writer.fetch(ME, 3).await;
        // The third is known by a claim that it no longer has.
        let keep = |ids: Vec<i64>| vec![(ids[1], 1), (ids[2], 0), (ids[2], 2)];
        writer.write(ReleaseTasks { owner: ME.to_owned(), keep: keep(ids) }).await;
        let (queue, owner, keep) = ("q".to_owned(), ME.to_owned(), keep(messages));
        writer.write(ReleaseMessages { queue, owner, keep }).await;
        assert_eq!(world.lines("SELECT status AS line FROM delay_queue_log ORDER BY id"), ["1", "2", "1"]);
        assert_eq!(writer.fetch(OTHER, 9).await.len(), 2);
    }

    async fn a_claim_takes_no_more_than_it_may(world) {
        let mut writer = world.writer().await;
        writer.push(tasks(5)).await;
        writer.send((0..5).map(|_| message(b"x")).collect()).await;
        assert_eq!(writer.claim(ME, 3).await.len(), 3);
        assert_eq!(writer.fetch(ME, 3).await.len(), 3);
        assert!(writer.claim(ME, 0).await.is_empty() && writer.fetch(ME, 0).await.is_empty());
    }

    async fn the_lag_is_what_is_unfinished(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        writer.send((0..3).map(|_| message(b"x")).collect()).await;
        let fetched = writer.fetch(ME, 2).await;
        assert_eq!(world.lag("q").await, 3);
        writer.settle(ME, &fetched[0], Disposition::Retry(Duration::from_secs(60))).await;
        writer.settle(ME, &fetched[1], Disposition::Complete).await;
        assert_eq!(world.lag("q").await, 2);
    }
}
