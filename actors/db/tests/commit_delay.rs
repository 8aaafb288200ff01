//! Callers that push again as soon as they are answered, and callers that do not.

use tokio::time::Instant;

use super::*;
use crate::db::commit_delay::DELAY;

const CALLERS: usize = 16;
const PUSHES_EACH: usize = 20;

fn push() -> InsertMessages {
    push_of(1)
}

fn push_of(rows: usize) -> InsertMessages {
    InsertMessages {
        queue: "q".to_owned(),
        rows: vec![message(); rows],
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

/// Answers callers of one transaction: from then on they are waited for.
async fn answer_many(world: &World) {
    world.store.commits.close();
    let callers = (0..=CALLERS).map(|_| world.db.write(push()));
    let mut callers = Box::pin(join_all(callers));
    assert!((&mut callers).now_or_never().is_none());
    settle_down().await;
    world.store.commits.open();
    soon(callers).await;
    // The first one went alone.
    assert_eq!(world.sizes(), [1, CALLERS]);
}

#[actix::test]
async fn those_who_do_not_are_waited_for_a_moment() {
    let world = World::start();
    answer_many(&world).await;
    let begun = Instant::now();
    soon(world.db.write(push())).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= DELAY && waited <= 2 * DELAY, "{waited:?}");
    let begun = Instant::now();
    soon(world.db.write(push())).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "alone");
}

/// Large pushes fill a transaction before all callers are back.
#[actix::test]
async fn a_transaction_that_is_full_waits_for_nobody() {
    let world = World::start();
    answer_many(&world).await;
    let begun = Instant::now();
    let large = (0..2).map(|_| world.db.write(push_of(4_000)));
    let first = Box::pin(futures_util::future::select_all(
        large.map(Box::pin).collect::<Vec<_>>(),
    ));
    let (answer, ..) = soon(first).await;
    answer.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn nothing_but_inserts_waits_for_them() {
    let world = World::start();
    answer_many(&world).await;
    let begun = Instant::now();
    let both = futures_util::future::join(world.db.write(push()), world.db.write(write(1)));
    let (pushed, written) = soon(both).await;
    assert!(pushed.is_ok() && written.is_ok());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
