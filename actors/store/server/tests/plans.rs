//! The plans of claims and of what people ask.

use super::*;

/// Without their index the claims read every waiting row.
#[test]
fn claims_walk_their_index_and_sort_nothing() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
            let mut writer = store(&url).writer().await.unwrap();
            for _ in 0..40 {
                let tasks: Vec<Write> = (0..250).map(|_| push("waits")).collect();
                let messages = (0..250).map(|_| send(1));
                let batch: Vec<Write> = tasks.into_iter().chain(messages).collect();
                assert!(writer.apply(batch.into()).await.away.is_none());
            }
            for plan in plan_of_claims(&url).await {
                assert!(plan.contains("idx_") || plan.contains("PRIMARY"), "{plan}");
                for slow in [
                    "filesort",
                    "Sort",
                    "Seq Scan on delay_queue_log",
                    "Seq Scan on queue_message",
                ] {
                    assert!(!plan.contains(slow), "{plan}");
                }
            }
        });
    }
}

/// As with ten million rows: what a person asks goes no further than it must.
#[test]
fn names_are_searched_for_among_the_first_rows() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
            let mut writer = store(&url).writer().await.unwrap();
            for _ in 0..20 {
                let tasks = (0..250).map(|_| push("waits"));
                let dead_letters = (0..250).map(|_| dead_letter(1));
                let dead_letters = InsertDeadLetters {
                    dead_letters: dead_letters.collect(),
                };
                let writes = tasks.chain([dead_letters.into()]).collect();
                let applied = writer.apply(writes).await;
                assert!(applied.away.is_none(), "{:?}", applied.away);
            }
            let key = ["PRIMARY", "dead_letter_pkey"];
            for (question, indexes) in [
                (
                    task_orders::in_order(TaskStatus::Waiting, 100),
                    ["idx_status_exectime"; 2],
                ),
                (
                    task_orders::in_order(TaskStatus::Failed, 100),
                    ["idx_status_exectime"; 2],
                ),
                (
                    "SELECT error FROM dead_letter WHERE id > 4950".to_owned(),
                    key,
                ),
                (
                    "SELECT id FROM dead_letter ORDER BY id DESC LIMIT 1 OFFSET 50".to_owned(),
                    key,
                ),
            ] {
                let plan = plan(&url, &question).await;
                assert!(
                    indexes.iter().any(|index| plan.contains(index)),
                    "{question}: {plan}"
                );
                for slow in ["filesort", "Sort", "Seq Scan"] {
                    assert!(!plan.contains(slow), "{question}: {plan}");
                }
            }
        });
    }
}
