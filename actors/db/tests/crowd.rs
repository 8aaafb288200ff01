//! Callers who push again as soon as they are answered.

use super::*;
use crate::db::crowd::PATIENCE;

const CALLERS: usize = 16;
const PUSHES_EACH: usize = 20;

fn push() -> Write {
    Write::InsertMessages {
        queue: "q".to_owned(),
        rows: vec![NewMessage {
            payload: Vec::new().into(),
            key: None,
            headers: Vec::new(),
        }],
    }
}

/// Were each transaction begun as soon as it can be, half of them would find it gone each time.
#[actix::test]
async fn those_who_come_back_share_each_transaction() {
    let world = World::start();
    let caller = |_| async {
        for _ in 0..PUSHES_EACH {
            world.db.write(push()).await.unwrap();
        }
    };
    soon(join_all((0..CALLERS).map(caller))).await;
    let transactions = world.store.transactions.all();
    let pushes: usize = transactions.iter().map(Vec::len).sum();
    assert_eq!(pushes, CALLERS * PUSHES_EACH);
    assert!(transactions.len() <= PUSHES_EACH + 2, "{transactions:?}");
}

#[actix::test]
async fn those_who_do_not_are_waited_for_a_moment() {
    let world = World::start();
    world.store.commits.close();
    let answers = |n| join_all((0..n).map(|_| world.db.write(push())));
    let (first, second) = (answers(CALLERS), answers(CALLERS));
    let mut both = Box::pin(futures_util::future::join(first, second));
    assert!((&mut both).now_or_never().is_none());
    settle_down().await;
    let begun = tokio::time::Instant::now();
    world.store.commits.open();
    soon(both).await;
    assert!(begun.elapsed() <= 2 * PATIENCE, "{:?}", begun.elapsed());
}

#[actix::test]
async fn nothing_but_pushes_waits_for_them() {
    let world = World::start();
    world.store.commits.close();
    let pushes = join_all((0..2 * CALLERS).map(|_| world.db.write(push())));
    let mut pushes = Box::pin(pushes);
    assert!((&mut pushes).now_or_never().is_none());
    settle_down().await;
    let other = world.db.write(write(1));
    let begun = tokio::time::Instant::now();
    world.store.commits.open();
    let (_, answer) = soon(futures_util::future::join(pushes, other)).await;
    answer.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
