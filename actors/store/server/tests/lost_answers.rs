//! Answers that are lost on the way, and questions that were given up.

use super::*;

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
