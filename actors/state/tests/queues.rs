//! Whether a queue is behind, and how old its oldest message is.

use super::*;

#[test]
fn a_full_queue_above_its_limit_is_behind() {
    let state = queue_state();
    state.sized(1, 1, 4);
    state.lag_checked(Some(5), false);
    assert_eq!(state.view().behind_since_ms, None, "it can still grow");
    state.sized(4, 3, 4);
    let view = state.view();
    assert!(view.behind_since_ms.is_some());
    let since = view.behind_since_ms;
    state.lag_checked(None, false);
    state.lag_checked(Some(9), false);
    let view = state.view();
    assert_eq!((view.behind_since_ms, view.lag), (since, Some(9)));
    assert_eq!(view.unread_lags, 1);
    state.lag_checked(Some(0), false);
    assert_eq!(state.view().behind_since_ms, None);
}

#[test]
fn a_queue_that_people_paused_is_neither_behind_nor_late() {
    let state = queue_state();
    state.sized(4, 4, 4);
    state.lag_checked(Some(5), false);
    assert!(state.view().behind_since_ms.is_some());
    state.set_paused(true);
    assert_eq!(state.view().behind_since_ms, None);
    state.lag_checked(Some(9), false);
    assert_eq!(state.view().behind_since_ms, None);
    state.set_paused(false);
    assert!(state.view().behind_since_ms.is_some());

    let delay = DelayState::new();
    delay.counted(3, Some(7));
    let oldest = || delay.sight().unwrap().oldest_due_ms;
    assert_eq!(oldest(), Some(7));
    delay.set_paused(true);
    assert_eq!(oldest(), None);
    delay.set_paused(false);
    assert_eq!(oldest(), Some(7));
}

#[test]
fn the_oldest_message_waits_or_is_handled() {
    let state = queue_state();
    let now = crate::clock::now_ms();
    let age = || state.view().oldest_age_ms.unwrap();
    assert_eq!(age(), 0, "there is none");
    state.lag_checked(Some(2), false);
    state.oldest_was_due(Some(now - 90_000));
    assert!((90_000..150_000).contains(&age()), "{}", age());
    let (one, two) = (state.join(), state.join());
    one.handles(Some(now - 600_000));
    two.handles(Some(now - 300_000));
    assert!((600_000..660_000).contains(&age()), "{}", age());
    one.idle();
    assert!((300_000..360_000).contains(&age()), "{}", age());
    two.idle();
    // What cannot be read now is not shown as that of now; what is not due yet is not old.
    state.lag_checked(None, false);
    assert_eq!(age(), 0);
    state.lag_checked(Some(1), false);
    state.oldest_was_due(Some(now + 600_000));
    assert_eq!(age(), 0);
}
