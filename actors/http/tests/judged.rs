//! What is wrong, in words, and the age of each figure.

use super::*;

/// The texts about a state, at that moment.
fn texts_of(config: &HttpConfig, now_ms: i64) -> Vec<String> {
    let found = wrong::wrong(&config.state, &["it is starting".to_owned()], now_ms);
    found.into_iter().map(|wrong| wrong.text).collect()
}

#[actix_rt::test]
async fn faults_are_reported_in_words() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let texts = texts_of(&config, now_ms());
    for part in [
        "it is starting",
        "lag 11 or more is above 10 at full size, 4 of 4 consumers",
        "3 tasks wait, the oldest 60 s past its time; 0 run",
        "the last run did not end well: failed: {}",
        "100,000+ dead letters",
    ] {
        assert!(
            texts.iter().any(|text| text.contains(part)),
            "{part}: {texts:?}"
        );
    }
}

#[actix_rt::test]
async fn figures_are_judged_as_of_their_reading() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let later = now_ms() + 25_000;
    let texts = texts_of(&config, later);
    for part in [
        "4 of 4 consumers (read 25 s ago)",
        "the oldest 60 s past its time, counted 25 s ago; 0 run",
    ] {
        assert!(texts.iter().any(|text| text.ends_with(part)), "{texts:?}");
    }
    // It was due a second after the count, and has run since.
    config.state.delay.counted(3, Some(now_ms() + 1000));
    config.state.queues()[0].lag_checked(Some(3), false);
    let texts = texts_of(&config, later);
    assert!(!texts.iter().any(|text| text.contains("tasks wait")));
    assert!(!texts.iter().any(|text| text.contains("lag")));
    let metrics = metrics::text(&config).unwrap();
    assert!(metrics.contains("simplest_script_delay_oldest_overdue_seconds 0.0\n"));
}

#[actix_rt::test]
async fn an_unread_lag_is_not_shown_as_current() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    let series = "simplest_script_queue_lag{";
    assert!(metrics::text(&config).unwrap().contains(series));
    config.state.queues()[0].lag_checked(None, false);
    let texts = texts_of(&config, now_ms() + 600_000);
    let wanted = "its lag cannot be read; it was 11 or more 10 min ago";
    assert!(texts.iter().any(|text| text == wanted), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("is above")));
    assert!(!metrics::text(&config).unwrap().contains(series));
    let view = config.state.queues()[0].view();
    assert_eq!((view.lag, view.last_lag), (None, Some(11)));
    config.state.queues()[0].lag_checked(Some(12), false);
    assert!(
        texts_of(&config, now_ms())
            .iter()
            .any(|text| text.contains("lag 12 is above"))
    );
}

#[actix_rt::test]
async fn a_process_without_partitions_is_not_behind() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    // Its partitions go to another member of the group: the lag stays that of the group.
    config.state.queues()[0].sized(0, 0, 0);
    config.state.queues()[0].lag_checked(Some(1000), false);
    let texts = texts_of(&config, now_ms());
    assert!(
        !texts.iter().any(|text| text.contains("is above")),
        "{texts:?}"
    );
    config.state.queues()[0].sized(2, 2, 2);
    let texts = texts_of(&config, now_ms());
    assert!(
        texts.iter().any(|text| text.contains("2 of 2")),
        "{texts:?}"
    );
}
