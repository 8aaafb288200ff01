//! What a claim takes at most, in bytes.

use super::*;

impl Connection {
    async fn fetch_within(&mut self, count: u32, bytes: u32) -> Vec<ClaimedMessage> {
        let (queue, owner) = ("q".to_owned(), ME.to_owned());
        let most = Most { count, bytes };
        self.write(ClaimMessages { queue, owner, most }).await
    }

    async fn claim_within(&mut self, count: u32, bytes: u32) -> Vec<ClaimedTask> {
        let write = ClaimTasks {
            owner: ME.to_owned(),
            from_s: None,
            until_s: now_ms().div_euclid(1000) + 2,
            most: Most { count, bytes },
        };
        self.write(write).await.tasks
    }
}

fn of_size(fill: u8, payload: usize) -> NewMessage {
    NewMessage {
        payload: vec![fill; payload].into(),
        key: Some(vec![fill; 10].into()),
        headers: vec![("h".to_owned(), vec![fill; 5].into())],
    }
}

facts! {
    async fn a_claim_of_messages_ends_at_its_bytes(world) {
        let mut writer = world.writer().await;
        let sizes = [100, 300_000, 400_000, 900_000, 2_000_000, 50, 60];
        let rows: Vec<_> = (1..).zip(sizes).map(|(fill, size)| of_size(fill, size)).collect();
        let ids = writer.send(rows.clone()).await;
        let mut found = Vec::new();
        let mut portions = Vec::new();
        while portions.iter().sum::<usize>() < sizes.len() {
            let portion = writer.fetch_within(100, 1_000_000).await;
            portions.push(portion.len());
            found.extend(portion);
        }
        assert_eq!(portions, [3, 1, 1, 2]);
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
        for (row, sent) in found.iter().zip(&rows) {
            assert!(row.payload == sent.payload, "{} bytes", row.payload.len());
            assert_eq!((&row.key, &row.headers), (&sent.key, &sent.headers));
            assert_eq!(row.fence, 1);
        }
        assert_eq!(world.line("SELECT count(*) AS line FROM queue_message WHERE fence <> 1"), "0");
    }

    async fn a_large_key_and_large_headers_count_too(world) {
        let mut writer = world.writer().await;
        let key = NewMessage { key: Some(vec![1; 700_000].into()), ..of_size(1, 10) };
        let headers = NewMessage {
            headers: vec![("h".to_owned(), vec![2; 300_000].into())],
            ..of_size(2, 10)
        };
        let rows = [key, headers, of_size(3, 10)];
        writer.send(rows.to_vec()).await;
        let mut found = writer.fetch_within(10, 800_000).await;
        assert_eq!(found.len(), 1);
        found.extend(writer.fetch_within(10, 800_000).await);
        assert_eq!(found.len(), 3);
        for (row, sent) in found.iter().zip(&rows) {
            assert!((&row.key, &row.headers, &row.payload) == (&sent.key, &sent.headers, &sent.payload));
        }
    }

    async fn a_claim_of_tasks_ends_at_its_bytes(world) {
        let mut writer = world.writer().await;
        let task = |params: usize| NewTask { params: "p".repeat(params), ..tasks(1).remove(0) };
        let sizes = [10, 400, 400, 300, 30];
        let ids = writer.push(sizes.map(task).to_vec()).await;
        let mut found = Vec::new();
        for (bytes, wanted) in [(900, 3), (5, 1), (900, 1), (900, 0)] {
            let portion = writer.claim_within(50, bytes).await;
            assert_eq!(portion.len(), wanted);
            found.extend(portion);
        }
        assert_eq!(found.iter().map(|task| task.id).collect::<Vec<_>>(), ids);
        assert_eq!(found.iter().map(|task| task.params.len()).collect::<Vec<_>>(), sizes);
        assert!(found.iter().all(|task| task.fence == 1));
    }

    /// Another program may have put anything there.
    async fn a_task_with_a_long_result_is_claimed_without_it(world) {
        let mut writer = world.writer().await;
        let how = "x".repeat(200);
        (world.execute)(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, result, status, exec_time) VALUES
             ('a', 'b', '', '{}', 1, 1), ('a', 'b', '', '{how}', 1, 2)",
            crate::store::columns::death_result(&how)
        ));
        let suspects: Vec<bool> = writer.claim(ME, 9).await.iter().map(|task| task.suspect).collect();
        assert_eq!(suspects, [true, false]);
    }
}
