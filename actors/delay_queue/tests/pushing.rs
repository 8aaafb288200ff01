//! Tasks that are pushed here.

use super::{OWNER, World, item};
use crate::delay_queue::{PushError, PushItem};

#[actix::test]
async fn a_task_due_within_two_seconds_needs_no_claim() {
    let world = World::start().await;
    world.push(vec![item("a", 0), item("b", 1)]).await.unwrap();
    let claimed = world
        .db
        .lines("SELECT owner || '|' || fence || '|' || status AS line FROM delay_queue_log WHERE params = 'b'");
    assert_eq!(claimed, [format!("{OWNER}|1|2")]);
    world.push(vec![item("c", 10)]).await.unwrap();
    let ran = world.ran.wait_for(2).await;
    assert!(ran.iter().all(|(.., late)| *late <= 5), "{ran:?}");
    world.until(3, 2).await;
    assert_eq!(
        world
            .db
            .number("SELECT max(fence) AS n FROM delay_queue_log"),
        1
    );
}

#[actix::test]
async fn a_push_is_refused_whole() {
    let world = World::start().await;
    let mut wrong = item("b", 0);
    wrong.exec_cmd = "jbo".to_owned();
    let refused = world.push(vec![item("a", 0), wrong]).await;
    assert!(matches!(refused, Err(PushError::Item { index: 1, .. })));
    assert_eq!(world.push(Vec::new()).await.unwrap(), Vec::<i64>::new());
    let marker = world.push_one("marker", 0).await;
    world.ran.wait_for(1).await;
    assert_eq!((world.params(), marker), (vec!["marker".to_owned()], 1));
}

#[actix::test]
async fn a_repeated_idempotency_key_makes_no_second_task() {
    let world = World::start().await;
    let keyed = |key: &str, params: &str, delay_time| PushItem {
        idempotency_key: Some(key.to_owned()),
        ..item(params, delay_time)
    };
    let first = world.push(vec![keyed("a", "now", 0), item("b", 0)]).await;
    let first = first.unwrap();
    world.ran.wait_for(2).await;
    let again = vec![keyed("c", "c", 0), keyed("a", "now", 0)];
    let again = world.push(again).await.unwrap();
    assert_eq!((again.len(), again[1]), (2, first[0]));
    world.ran.wait_for(3).await;
    world.until(3, 3).await;
    let mut params = world.params();
    params.sort_unstable();
    assert_eq!(params, ["b", "c", "now"]);

    for (other, what) in [
        (keyed("a", "other", 0), "`params`"),
        (keyed("a", "now", 1), "`due`"),
        (
            PushItem {
                name: "m".to_owned(),
                ..keyed("a", "now", 0)
            },
            "`name`",
        ),
    ] {
        let refused = world.push(vec![item("x", 0), other]).await.unwrap_err();
        assert!(
            matches!(refused, PushError::Key { index: 1, .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(what), "{refused}");
    }
    for (wrong, what) in [
        (
            vec![keyed("d", "x", 0), keyed("d", "x", 0)],
            "an earlier item",
        ),
        (vec![keyed(" d", "x", 0)], "no idempotency key"),
    ] {
        let refused = world.push(wrong).await.unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
    // What a refused list had reserved is free again: a task that is due now needs no claim.
    let marker = world.push_one("marker", 0).await;
    let ran = world.ran.wait_for(4).await;
    assert_eq!(ran[3].0, "marker");
    let fence = format!("SELECT fence AS n FROM delay_queue_log WHERE id = {marker}");
    assert_eq!(world.db.number(&fence), 1);
}

#[actix::test]
async fn an_earlier_task_pushed_later_runs_first() {
    let world = World::start().await;
    world.push_one("second", 2).await;
    world.push_one("third", 100).await;
    world.push_one("first", 1).await;
    let ran = world.ran.wait_for(3).await;
    assert_eq!(world.params(), ["first", "second", "third"]);
    assert!(
        ran.iter().all(|(.., late)| (0..=5).contains(late)),
        "{ran:?}"
    );
}
