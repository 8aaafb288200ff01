//! What is a server's own: answers that are lost on the way, and messages that are too large for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::migrate::OURS;
use super::reader::ServerReader;
use super::store::ServerStore;
use super::test_server::{CONNECTION_ID, LIMITED, MAKE_LIMITED, plan, plan_of_claims, servers};
use super::{connect, dialect, marks, task_orders};
use crate::clock::now_ms;
use crate::config::Secret;
use crate::job::Disposition;
use crate::store::DbError;
use crate::store::rows::{
    DeadLetterFilter, EntryName, MessageEnd, NewDeadLetter, NewMessage, NewTask, Replay, ReplayTo,
};
use crate::store::task_orders::TaskStatus;
use crate::store::traits::{Outcome, Store, Writer};
use crate::store::warnings::{CountAdd, CountOrigin, CountSegment, Counted, Period};
use crate::store::write::{
    AddCount, ClaimMessages, EndMessages, InsertDeadLetters, InsertMessages, InsertTasks,
    ReleaseMessages, ReplayDeadLetters, Settlement, Write, Written,
};
use crate::testing_support::{Cut, Proxy};

fn push(params: &str) -> Write {
    let row = NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: params.to_owned(),
        due_ms: now_ms() + 3_600_000,
        claimed: false,
        trace: None,
    };
    InsertTasks {
        rows: vec![row],
        owner: String::new(),
    }
    .into()
}

fn send(bytes: usize) -> Write {
    let row = NewMessage {
        payload: Bytes::from(vec![7; bytes]),
        key: None,
        headers: Vec::new(),
    };
    InsertMessages {
        queue: "q".to_owned(),
        rows: vec![row],
    }
    .into()
}

fn dead_letter(bytes: usize) -> NewDeadLetter {
    NewDeadLetter {
        kind: "redis",
        source: "q".to_owned(),
        entry: EntryName {
            name: "n".to_owned(),
            exec_cmd: "c".to_owned(),
        },
        original_id: "1".to_owned(),
        payload: Bytes::from(vec![7; bytes]),
        key: None,
        headers: Vec::new(),
        error: "no".to_owned(),
        attempts: 1,
        partition: "script1".to_owned(),
        first_ms: 0,
    }
}

fn store(url: &str) -> ServerStore {
    ServerStore::new(Secret::new(url), "a server".to_owned(), 4)
}

/// The writer's batch, tried until it is known what became of it. Answers the ids, and how often it was unsure.
async fn ids(writer: &mut dyn Writer, batch: &std::sync::Arc<[Write]>) -> (Vec<i64>, usize) {
    let mut unsure = 0;
    loop {
        let applied = writer.apply(std::sync::Arc::clone(batch)).await;
        if applied.away.is_none() {
            let ids = applied.answers().into_iter().map(|answer| match answer {
                Ok(Written::InsertTasks(ids)) => ids[0],
                other => panic!("{other:?}"),
            });
            return (ids.collect(), unsure);
        }
        assert!(
            applied.is_untried() && applied.is_unsure,
            "{:?}",
            applied.away
        );
        unsure += 1;
        assert!(unsure < 5, "{:?}", applied.away);
    }
}

/// A push that is written twice runs twice; one that is not written at all is lost.
#[test]
fn a_commit_whose_answer_is_lost_counts_once() {
    for (url, port) in servers() {
        store(&url).migrate().unwrap();
        let proxy = Proxy::to(port, b"; COMMIT");
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        actix_rt::System::new().block_on(async move {
            let mut writer = store(&through).writer().await.unwrap();
            let mut all = Vec::new();
            for cut in [Cut::After, Cut::Before, Cut::After] {
                let batch: std::sync::Arc<[Write]> = vec![push("a"), push("b")].into();
                proxy.cut(cut);
                let (ids, unsure) = ids(writer.as_mut(), &batch).await;
                assert!(unsure > 0 && !proxy.is_armed(), "{cut:?} was no cut");
                all.extend(ids);
            }
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 6);
            let counts = store(&url).reader().delay_counts().await.unwrap();
            assert_eq!(counts.waiting, 6);
        });
    }
}

/// The answer to "was it committed?" may be lost too: the next question must not take the first one's mark for that of
/// the transaction.
#[test]
fn a_question_does_not_answer_the_next_one() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
            let mut connection = connect::open(&Secret::new(&url)).await.unwrap();
            let connection = &mut connection;
            for _ in 0..2 {
                assert!(!marks::was_committed(connection, "lost", 1).await.unwrap());
            }
            connection.batch_execute(dialect::BEGIN).await.unwrap();
            marks::commit(connection, "done", 1).await.unwrap();
            for _ in 0..2 {
                assert!(marks::was_committed(connection, "done", 1).await.unwrap());
            }
            // The lost message arrives after all.
            connection.batch_execute(dialect::BEGIN).await.unwrap();
            assert!(marks::commit(connection, "lost", 1).await.is_err());
        });
    }
}

/// An operator's open transaction must not be taken for an outage of the database: then nothing at all would be
/// written.
#[test]
fn a_write_that_waits_for_a_locked_row_is_distinguished_from_an_outage() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
        let mut writer = store(&url).writer().await.unwrap();
        let claim = ClaimMessages {
            queue: "q".to_owned(),
            owner: "me".to_owned(),
            most: crate::store::Most {
                count: 1,
                bytes: u32::MAX,
            },
        };
        let answers = writer.apply(vec![send(1), claim.into()].into()).await.answers();
        let Ok(Written::ClaimMessages(claimed)) = &answers[1] else {
            panic!("{answers:?}");
        };
        let end = EndMessages {
            owner: "me".to_owned(),
            ends: vec![MessageEnd {
                id: claimed[0].id,
                fence: claimed[0].fence,
                entry: Arc::new(EntryName {
                    name: "q".to_owned(),
                    exec_cmd: "c".to_owned(),
                }),
                disposition: Disposition::Complete,
            }],
        };
        let mut operator = connect::open(&Secret::new(&url)).await.unwrap();
        operator.batch_execute(dialect::BEGIN).await.unwrap();
        let touch = "UPDATE queue_message SET attempts = attempts";
        operator.batch_execute(touch).await.unwrap();
        // Its end is separated from the others, and waits for no lock.
        let answers = writer
            .apply(vec![send(2), end.clone().into()].into())
            .await
            .answers();
        let Ok(Written::EndMessages(settlement)) = &answers[1] else {
            panic!("{answers:?}");
        };
        assert_eq!((settlement.held.len(), settlement.stale.len()), (1, 0));
        // What has to wait is left out, and the others are written.
        let release = ReleaseMessages {
            queue: "q".to_owned(),
            owner: "me".to_owned(),
            keep: Vec::new(),
        };
        let applied = writer.apply(vec![send(3), release.into(), send(4)].into()).await;
        assert!(applied.away.is_none(), "{:?}", applied.away);
        let held: Vec<bool> = applied
            .outcomes
            .iter()
            .map(|outcome| matches!(outcome, Some(Outcome::Held(_))))
            .collect();
        assert_eq!(held, [false, true, false], "{:?}", applied.outcomes);
        operator.batch_execute("ROLLBACK").await.unwrap();
        let answers = writer.apply(vec![end.into()].into()).await.answers();
        assert!(
            matches!(&answers[0], Ok(Written::EndMessages(settlement)) if *settlement == Settlement::default()),
            "{answers:?}"
        );
    });
    }
}

#[test]
fn another_programs_table_of_our_name_is_reported_at_the_start_and_left_alone() {
    for (url, _) in servers() {
        let runtime = actix_rt::System::new();
        runtime.block_on(async {
            let mut connection = connect::open(&Secret::new(&url)).await.unwrap();
            let shoes = "CREATE TABLE queue_message (id INT PRIMARY KEY, body INT)";
            connection.batch_execute(shoes).await.unwrap();
        });
        let refused = store(&url).migrate().unwrap_err().to_string();
        assert!(refused.contains("`queue_message`"), "{refused}");
        runtime.block_on(async {
            let mut connection = connect::open(&Secret::new(&url)).await.unwrap();
            let away = "ALTER TABLE queue_message RENAME TO shoes";
            connection.batch_execute(away).await.unwrap();
        });
        store(&url).migrate().unwrap();
    }
}

#[derive(QueryableByName)]
struct ConnectionId {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

async fn connection_id(connection: &mut dialect::Connection) -> QueryResult<i64> {
    let asked: ConnectionId = diesel::sql_query(CONNECTION_ID)
        .get_result(connection)
        .await?;
    Ok(asked.id)
}

/// The next question on it would wait for the answer to the one that nobody waits for any more.
#[test]
fn a_question_that_was_given_up_takes_its_connection_with_it() {
    for (url, _) in servers() {
        actix_rt::System::new().block_on(async move {
            let reader = ServerReader::new(Secret::new(&url), 1);
            let first = reader.ask(connection_id).await.unwrap();
            assert_eq!(reader.ask(connection_id).await.unwrap(), first);
            let refused = reader.ask(async |connection| {
                let nonsense = diesel::sql_query("SELECT nonsense");
                nonsense.execute(connection).await
            });
            refused.await.unwrap_err();
            assert_eq!(reader.ask(connection_id).await.unwrap(), first);
            let given_up = reader.ask(async |_| std::future::pending::<QueryResult<()>>().await);
            let waited = tokio::time::timeout(std::time::Duration::from_millis(50), given_up).await;
            assert!(waited.is_err());
            assert_ne!(reader.ask(connection_id).await.unwrap(), first);
        });
    }
}

#[test]
fn a_message_that_is_too_large_for_the_server_is_refused_and_its_neighbours_are_not() {
    let Some(too_large) = super::test_server::TOO_LARGE else {
        return;
    };
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
            let mut writer = store(&url).writer().await.unwrap();
            let batch: std::sync::Arc<[Write]> = vec![send(10), send(too_large), send(20)].into();
            let applied = writer.apply(batch).await;
            assert!(applied.away.is_none(), "{:?}", applied.away);
            let answers = applied.answers();
            let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
            assert_eq!(refused, [false, true, false], "{answers:?}");
            assert!(matches!(answers[1], Err(DbError::Refused(_))));
            let lag = store(&url)
                .reader()
                .queue_lags(vec![("q".to_owned(), 99)])
                .await;
            assert_eq!(lag.unwrap(), [2]);
        });
    }
}

/// Else it would be tried again for ever, and hold up what is behind it.
#[test]
fn a_dead_letter_that_is_too_large_is_kept_as_far_as_it_goes() {
    let Some(too_large) = super::test_server::TOO_LARGE else {
        return;
    };
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        actix_rt::System::new().block_on(async move {
            let mut writer = store(&url).writer().await.unwrap();
            let dead_letters = vec![dead_letter(too_large)];
            let applied = writer
                .apply([InsertDeadLetters { dead_letters }.into()].into())
                .await;
            assert!(applied.away.is_none(), "{:?}", applied.away);
            assert!(applied.answers()[0].is_ok());
            let reader = store(&url).reader();
            let kept = reader
                .dead_letters(DeadLetterFilter::default(), 9)
                .await
                .unwrap()
                .remove(0);
            assert!((8 << 20..too_large).contains(&kept.payload.len()));
            assert!(
                kept.error.contains(&too_large.to_string()),
                "{}",
                kept.error
            );
            let dead_letters = vec![Replay {
                id: kept.id,
                to: ReplayTo::Queue("q".to_owned()),
                payload: None,
            }];
            let replay = ReplayDeadLetters {
                dead_letters,
                order: None,
            };
            let replayed = writer.apply([replay.into()].into()).await.answers();
            assert!(
                matches!(&replayed[0], Ok(Written::ReplayDeadLetters(replayed)) if replayed.rows == [None])
            );
            assert_eq!(
                reader
                    .dead_letters(DeadLetterFilter::default(), 9)
                    .await
                    .unwrap()
                    .len(),
                1
            );
        });
    }
}

/// `check --online` shows it before cron, or another user of that table, meets it.
#[test]
fn a_table_that_may_not_be_written_is_found_by_looking() {
    for (url, _) in servers() {
        store(&url).migrate().unwrap();
        store(&url).inspect().unwrap();
        actix_rt::System::new().block_on(async {
            let mut operator = connect::open(&Secret::new(&url)).await.unwrap();
            operator.batch_execute(MAKE_LIMITED).await.unwrap();
            for table in OURS.iter().chain(["__diesel_schema_migrations"].iter()) {
                let rights = match *table {
                    "cron_entry" => "SELECT",
                    _ => "SELECT, INSERT, UPDATE, DELETE",
                };
                let grant = format!("GRANT {rights} ON {table} TO {LIMITED}");
                operator.batch_execute(&grant).await.unwrap();
            }
        });
        let mut limited: url::Url = url.parse().unwrap();
        limited.set_username("limited").unwrap();
        let lacking = store(limited.as_str()).inspect().unwrap_err().to_string();
        assert!(lacking.contains("cron_entry"), "{lacking}");
        assert!(!lacking.contains("cron_run"), "{lacking}");
    }
}

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

/// As a daemon that was frozen in the middle of its transaction, or an operator, locks it.
#[test]
fn a_locked_row_of_a_warning_holds_up_that_flag_alone() {
    let add = |flag: &str| -> Write {
        AddCount(CountAdd {
            origin: Arc::new(CountOrigin {
                environment: "dev".to_owned(),
                partition: "script1".to_owned(),
                host: "here".to_owned(),
            }),
            flag: flag.into(),
            periods: Arc::new([Period {
                limit: 100,
                seconds: 60,
            }]),
            segments: vec![CountSegment {
                span: Duration::ZERO,
                at: std::time::Instant::now(),
                count: 1,
                messages: Vec::new(),
            }],
        })
        .into()
    };
    for (url, _) in servers() {
        let store = store(&url);
        store.migrate().unwrap();
        actix_rt::System::new().block_on(async {
            let mut writer = store.writer().await.unwrap();
            writer.apply(Arc::new([add("locked"), add("free")])).await;
            let mut other = connect::open(&Secret::new(url.clone())).await.unwrap();
            let lock = "SELECT id FROM warning_window WHERE flag = 'locked' FOR UPDATE";
            other.batch_execute(dialect::BEGIN).await.unwrap();
            other.batch_execute(lock).await.unwrap();
            let begun = std::time::Instant::now();
            let answers = writer
                .apply(Arc::new([add("locked"), add("free"), add("new")]))
                .await
                .answers();
            // A wait for a lock would be two seconds.
            assert!(
                begun.elapsed() < Duration::from_millis(1_900),
                "{:?}",
                begun.elapsed()
            );
            let counted: Vec<Counted> = answers
                .into_iter()
                .map(|answer| match answer {
                    Ok(Written::AddCount(counted)) => counted,
                    other => panic!("{other:?}"),
                })
                .collect();
            let added = Counted::Added { reached: 0 };
            assert_eq!(counted, [Counted::Held, added, added], "{url}");
            other.batch_execute("ROLLBACK").await.unwrap();
            let again = writer.apply(Arc::new([add("locked")])).await.answers();
            assert!(matches!(
                again[0],
                Ok(Written::AddCount(Counted::Added { .. }))
            ));
        });
    }
}
