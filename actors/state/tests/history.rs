//! The last hour, in points.

use std::time::Duration;

use super::*;
use crate::state::view::HistoryView;

fn identity() -> Identity {
    Identity {
        version: "0",
        environment: "dev".to_owned(),
        partition: "script1".to_owned(),
        host: "h".to_owned(),
        pid: 1,
        boot: "b".to_owned(),
        started_ms: 1,
    }
}

#[test]
fn a_history_point_is_the_change_since_the_last() {
    let queue = queue_state();
    let state = State::new(
        identity(),
        vec![Arc::clone(&queue)],
        vec![entry("n", "k")],
        DelayState::new(),
    );
    let tally = queue.join();
    let completed = |completed| Settlements {
        completed,
        ..Settlements::default()
    };
    queue.settled(completed(10));
    tally.handled(Duration::from_secs(20), 10);
    queue.lag_checked(Some(7), false);
    state.sample(10_000);
    state.sample(20_000);
    queue.settled(completed(1));
    tally.failed(FailureCause::Panic);
    state.sample(30_000);
    let history = state.queue_history("q").unwrap();
    assert_eq!(history.last_ms, Some(30_000));
    let series = history.series;
    assert_eq!(series.done, [10, 0, 1]);
    assert_eq!(series.failed, [0, 0, 1]);
    assert_eq!(series.lag, [Some(7); 3]);
    assert_eq!(series.handler_seconds, [Some(2.0), None, None]);
    assert!(state.queue_history("other").is_none());
    assert_eq!(state.cron_history("k").unwrap().series.done.len(), 3);
    assert_eq!(state.cron_history("n").unwrap().series.done.len(), 3);
    assert_eq!(state.delay_history().series.done, [0, 0, 0]);
}

#[test]
fn entries_keep_their_history_over_a_reload() {
    let (stays, goes) = (queue_state(), entry("goes", "g"));
    let state = State::new(
        identity(),
        vec![Arc::clone(&stays)],
        vec![goes, entry("n", "k")],
        DelayState::new(),
    );
    let stays_too = state.cron_entry("k").unwrap();
    let came = QueueState::new(QueueFacts {
        name: "came".to_owned(),
        ..QueueFacts::clone(&stays.facts())
    });
    stays.lag_checked(Some(7), false);
    state.sample(10_000);
    state.replace(
        vec![came, Arc::clone(&stays)],
        vec![stays_too, entry("came", "c")],
    );
    state.sample(20_000);
    let points = |history: Option<HistoryView>| history.unwrap().series.lag;
    assert_eq!(points(state.queue_history("q")), [Some(7); 2]);
    assert_eq!(points(state.queue_history("came")), [None]);
    assert_eq!(points(state.cron_history("k")).len(), 2);
    assert_eq!(points(state.cron_history("c")).len(), 1);
    assert!(state.cron_history("g").is_none());
}

#[test]
fn the_history_is_an_hour_long() {
    let state = State::new(
        identity(),
        vec![queue_state()],
        Vec::new(),
        DelayState::new(),
    );
    (0..400).for_each(|n| state.sample(n * 10_000));
    assert_eq!(state.queue_history("q").unwrap().series.done.len(), 360);
}
