//! What another program's locks hold up, and what they do not.

use super::*;

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
