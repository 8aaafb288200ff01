//! Orders about single delayed tasks.

use super::*;
use crate::store::task_orders::{TaskName, TaskOrder, TaskOrdered, TaskStatus, TaskWish};
use crate::store::write::OrderTask;

fn order(id: i64, wish: TaskWish) -> OrderTask {
    OrderTask(TaskOrder {
        environment: "dev".to_owned(),
        ordered_by: "ann@web-1".to_owned(),
        id,
        wish,
    })
}

fn due(at_ms: i64) -> TaskWish {
    TaskWish::Due {
        at_ms,
        shown: "now".to_owned(),
    }
}

impl Connection {
    async fn order(&mut self, id: i64, wish: TaskWish) -> TaskOrdered {
        self.write(order(id, wish)).await
    }
}

impl World {
    async fn tasks(&self, status: TaskStatus, limit: u32) -> Vec<TaskName> {
        let reader = self.store.reader();
        reader.task_names(status, limit).await.unwrap()
    }
}

const WAITED: TaskOrdered = TaskOrdered::Done { attempts: 0 };

facts! {
    async fn a_cancelled_task_has_status_4_and_never_runs(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let due_ms = now_ms() - 5000;
        let ids = writer.push(vec![task("first", due_ms), task("second", due_ms)]).await;
        assert_eq!(writer.order(ids[0], TaskWish::Cancel).await, WAITED);
        let claimed = writer.claim(ME, 9).await;
        assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), ids[1..]);
        let row = world.store.reader().task_rows(vec![ids[0]]).await.unwrap().remove(0);
        assert_eq!((row.status, row.owner.as_str(), row.due_ms), (4, "", due_ms), "it keeps its time");
        let result: serde_json::Value = serde_json::from_str(&row.result).unwrap();
        assert_eq!(result, serde_json::json!({"status": false, "data": "cancelled by ann@web-1"}));
        let dead_letters = world.store.reader().dead_letters(DeadLetterFilter::default(), 9).await.unwrap();
        assert!(dead_letters.is_empty(), "somebody has decided on it: {dead_letters:?}");
        assert_eq!(writer.order(ids[0], TaskWish::Cancel).await, TaskOrdered::Failed);
        assert_eq!(writer.order(ids[0], due(now_ms())).await, TaskOrdered::Failed);
        assert_eq!(world.status(ids[0]), "4");
        let trim = TrimTasks { before_s: now_ms().div_euclid(1000) };
        assert_eq!(writer.write(trim).await, 1, "it is kept like any that ended");
    }

    async fn a_rescheduled_task_keeps_its_attempts(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let later = now_ms() + 3_600_000;
        let id = writer.push(vec![task("x", now_ms() - 9)]).await[0];
        let claimed = writer.claim(ME, 1).await.remove(0);
        let retry = (Disposition::Retry(later), "{}");
        writer.end(ME, &claimed, retry).await;
        assert!(writer.claim(ME, 9).await.is_empty());
        let now = now_ms();
        assert_eq!(writer.order(id, due(now)).await, TaskOrdered::Done { attempts: 1 });
        let claimed = writer.claim(ME, 9).await.remove(0);
        assert_eq!((claimed.id, claimed.due_ms, claimed.attempts), (id, now, 1));

        let id = writer.push(vec![task("y", now)]).await[0];
        assert_eq!(writer.order(id, due(later)).await, WAITED);
        assert!(writer.claim(ME, 9).await.is_empty(), "put off");
        let row = world.store.reader().task_rows(vec![id]).await.unwrap().remove(0);
        assert_eq!((row.due_ms, row.status), (later, 1));
    }

    async fn orders_touch_waiting_tasks_only(world) {
        let mut writer = world.writer().await;
        writer.begin(ME).await;
        let ids = writer.push(vec![task("a", 1), task("b", 2), task("c", 3), task("d", 4)]).await;
        let claimed = writer.claim(ME, 3).await;
        writer.end(ME, &claimed[1], (Disposition::Complete, "{\"status\":true}")).await;
        (world.execute)(&format!("UPDATE delay_queue_log SET owner = '' WHERE id = {}", ids[2]));
        (world.execute)(&format!("UPDATE delay_queue_log SET status = 9 WHERE id = {}", ids[3]));
        let rows = || async { world.store.reader().task_rows(ids.clone()).await.unwrap() };
        let before = rows().await;
        let mine = TaskOrdered::Claimed { owner: Some(ME.to_owned()) };
        let answers = [mine, TaskOrdered::Ended, TaskOrdered::Claimed { owner: None }, TaskOrdered::Unknown { status: 9 }];
        for wish in [TaskWish::Cancel, due(now_ms())] {
            for (id, answer) in ids.iter().zip(&answers) {
                assert_eq!(writer.order(*id, wish.clone()).await, *answer);
            }
            assert_eq!(writer.order(i64::MAX, wish).await, TaskOrdered::Missing);
        }
        assert_eq!(rows().await, before);
        let written = world.lines("SELECT action || ':' || target || ':' || result AS line FROM audit ORDER BY id");
        assert_eq!(written.len(), 10);
        assert_eq!(written[0], format!("cancel:delayed task {}:it runs, or is about to: `{ME}` has claimed it", ids[0]));
        assert_eq!(written[6], format!("run:delayed task {}, now:it is done already", ids[1]));
        let end = (Disposition::Complete, "{}");
        assert!(writer.end(ME, &claimed[0], end).await.is_empty(), "its end counts");
    }

    async fn a_claim_or_a_cancel_has_the_task(world) {
        let (mut one, mut other) = (world.writer().await, world.writer().await);
        one.begin(ME).await;
        let (mut cancelled, mut ran) = (0, 0);
        for round in 0..40 {
            let id = one.push(vec![task("x", now_ms() - 5000)]).await[0];
            let (claimed, ordered) = match round % 2 {
                0 => tokio::join!(one.claim(ME, 1), other.order(id, TaskWish::Cancel)),
                _ => {
                    let (ordered, claimed) = tokio::join!(other.order(id, TaskWish::Cancel), one.claim(ME, 1));
                    (claimed, ordered)
                }
            };
            match claimed.as_slice() {
                [] => {
                    // A claim passes over a row that the order has locked.
                    assert_eq!(ordered, WAITED, "{round}");
                    assert_eq!(world.status(id), "4");
                    cancelled += 1;
                }
                [task] => {
                    assert_eq!(ordered, TaskOrdered::Claimed { owner: Some(ME.to_owned()) }, "{round}");
                    one.end(ME, task, (Disposition::Complete, "{}")).await;
                    ran += 1;
                }
                more => panic!("{more:?}"),
            }
        }
        assert_eq!(cancelled + ran, 40);
    }

    async fn tasks_are_named_in_their_order_and_no_more_than_asked_for(world) {
        let mut writer = world.writer().await;
        let at = |second: i64| (4_000_000_000 + second) * 1000;
        let ids = writer.push(vec![task("b", at(2)), task("c", at(3)), task("a", at(1))]).await;
        let of = |tasks: Vec<TaskName>| tasks.into_iter().map(|task| task.id).collect::<Vec<_>>();
        assert_eq!(of(world.tasks(TaskStatus::Waiting, 9).await), [ids[2], ids[0], ids[1]]);
        assert_eq!(of(world.tasks(TaskStatus::Waiting, 2).await), [ids[2], ids[0]]);
        assert!(world.tasks(TaskStatus::Running, 9).await.is_empty());
        for id in &ids {
            writer.order(*id, TaskWish::Cancel).await;
        }
        assert_eq!(of(world.tasks(TaskStatus::Failed, 9).await), [ids[1], ids[0], ids[2]], "the latest first");
        let named = world.tasks(TaskStatus::Failed, 1).await.remove(0);
        assert_eq!((named.name.as_str(), named.exec_cmd.as_str()), ("n", "job"));
        assert!(world.store.reader().task_rows(vec![i64::MAX]).await.unwrap().is_empty());
    }

    async fn tasks_of_other_programs_are_shown(world) {
        world.insert_no_text();
        let tasks = world.tasks(TaskStatus::Waiting, 9).await;
        let ids: Vec<i64> = tasks.iter().map(|task| task.id).collect();
        let mut rows = world.store.reader().task_rows(ids).await.unwrap();
        rows.sort_by_key(|row| row.id);
        assert_eq!((rows[0].params.as_str(), rows[1].params.as_str()), ("\u{fffd}\0\u{fffd}", "good"));
        assert_eq!((rows[1].due_ms, rows[1].owner.as_str(), rows[1].attempts), (1000, "", 0));
    }
}
