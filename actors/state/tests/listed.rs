//! What is listed as long as it lasts, and the last few of what ended.

use super::*;
use crate::state::recent::{Recent, cut};
use crate::state::view::Away;

#[test]
fn the_last_few_failures_are_kept_and_cut() {
    let recent = Recent::new(3);
    (0..5).for_each(|n| recent.push(n));
    assert_eq!(recent.newest(), [4, 3, 2]);
    let long = "é".repeat(201);
    assert_eq!(cut(&long).chars().count(), 200);
    assert!(cut(&long).ends_with('…'));
    assert_eq!(cut(&"é".repeat(200)), "é".repeat(200));
}

#[test]
fn what_runs_goes_with_its_guard() {
    let state = queue_state();
    let long = state.runs("7", 1);
    {
        let _short = state.runs("8", 2);
        let ids: Vec<String> = state.view().running.into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ["7", "8"], "the oldest first");
    }
    assert_eq!(state.view().running.len(), 1);
    drop(long);
    assert!(state.view().running.is_empty());
}

#[test]
fn an_outage_is_listed_until_its_mark_goes() {
    let what = "a server of this test";
    let listed = || outages().list().into_iter().find(|o| o.what == what);
    let mark = outages().begin(&Away::Part, what, 5, "refused");
    mark.set_cause("wrong password");
    let outage = listed().unwrap();
    assert_eq!((outage.since_ms, &*outage.cause), (5, "wrong password"));
    drop(mark);
    assert_eq!(listed(), None);
}
