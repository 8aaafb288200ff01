//! What is larger than a message to the server.

use super::*;

#[test]
fn a_message_that_is_too_large_for_the_server_is_refused_and_its_neighbours_are_not() {
    let Some(too_large) = TOO_LARGE else {
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
    let Some(too_large) = TOO_LARGE else {
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
