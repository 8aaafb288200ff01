//! Many writes in one transaction, each with an answer of its own, and what becomes of them in an outage.

use super::*;

#[actix::test]
async fn a_thousand_writes_at_once_share_few_transactions() {
    let world = World::start();
    world.store.commits.close();
    let answers = world.write_all(1000..2000);
    settle_down().await;
    world.store.commits.open();
    let answers = soon(answers).await.unwrap();
    assert!(counts(&answers).into_iter().eq(1000..2000));
    assert!(world.store.transactions.len() <= 6);
    assert_eq!(world.store.connections.len(), 1);
}

#[actix::test]
async fn writes_are_done_in_the_order_in_which_they_came() {
    let world = World::start();
    soon(world.write_all(1000..1050)).await.unwrap();
    assert!(world.store.written().into_iter().eq(1000..1050));
}

#[actix::test]
async fn a_lone_write_waits_for_nobody() {
    let world = World::start();
    let begun = tokio::time::Instant::now();
    soon(world.db.write(write(1))).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn nothing_is_answered_before_its_commit() {
    let world = World::start();
    world.store.commits.close();
    let mut answers = world.write_all([1, 2]);
    settle_down().await;
    assert!((&mut answers).now_or_never().is_none());
    world.store.commits.open();
    assert_eq!(counts(&soon(answers).await.unwrap()), [1, 2]);
}

#[actix::test]
async fn a_refused_write_fails_alone() {
    let world = World::start();
    let answers = soon(world.write_all([11, 12, REFUSED, 14])).await.unwrap();
    assert!(matches!(answers[2], Err(DbError::Refused(_))));
    assert_eq!(counts(&answers[..2]), [11, 12]);
    assert_eq!(counts(&answers[3..]), [14]);
}

#[actix::test]
async fn writes_keep_their_order_through_an_outage() {
    let world = World::start();
    world.store.go_away(true);
    let first = world.write_all([1, 2]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let second = world.write_all([3]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.store.written().is_empty());
    world.store.go_away(false);
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    assert_eq!(world.store.written(), [1, 2, 3]);
}

#[actix::test]
async fn untried_writes_are_tried_on_a_new_connection() {
    let world = World::start();
    world.store.script.lock().unwrap().away_after = Some(2);
    let answers = soon(world.write_all([1, 2, 3, 4])).await.unwrap();
    assert_eq!(counts(&answers), [1, 2, 3, 4]);
    // The first transaction may have taken only the first write.
    assert_eq!(
        world.store.written(),
        [1, 2, 3, 4],
        "each once, in their order"
    );
    assert!(world.store.connections.len() <= 2);
}

#[actix::test]
async fn an_uncertain_batch_is_repeated_unchanged() {
    let world = World::start();
    world.store.commits.close();
    world.store.script.lock().unwrap().lose_answer = Some(2);
    let first = world.write_all([1]);
    let waiting = world.write_all([2, 3]);
    let gives_up = world.write_all([4]);
    settle_down().await;
    world.store.commits.open();
    soon(first).await.unwrap();
    while world.store.transactions.len() < 2 {
        settle_down().await;
    }
    gives_up.abort();
    let later = world.write_all([5]);
    soon(waiting).await.unwrap();
    soon(later).await.unwrap();
    let transactions = world.store.transactions.all();
    let twice = transactions.iter().position(|writes| writes.contains(&2));
    let lost = &transactions[twice.unwrap()];
    assert_eq!(
        lost,
        &transactions[twice.unwrap() + 1],
        "the same writes again, also those whose callers gave up since"
    );
    assert_eq!(
        world.store.connections.len(),
        1,
        "by the writer that can find out"
    );
}

#[actix::test]
async fn nobody_writes_again_what_a_dead_actor_may_have_committed() {
    let world = World::start();
    world.store.script.lock().unwrap().lose_answer = Some(7);
    let unsure = world.write_all([7]);
    while world.store.transactions.len() == 0 {
        settle_down().await;
    }
    world.store.go_away(true);
    world.addr.do_send(Crash);
    let answers = soon(unsure).await.unwrap();
    assert!(matches!(answers[0], Err(DbError::Restarted)), "{answers:?}");
}

#[actix::test]
async fn a_transaction_has_a_bounded_number_of_rows() {
    let world = World::start();
    world.store.commits.close();
    let list = |rows: usize| {
        let row = NewTask {
            name: String::new(),
            exec_cmd: String::new(),
            params: String::new(),
            due_ms: 0,
            claimed: false,
            trace: None,
        };
        let db = world.db.clone();
        let insert = InsertTasks {
            rows: vec![row; rows],
            owner: String::new(),
        };
        async move { db.write(insert).await }
    };
    let lists = actix_rt::spawn(join_all([1, 3_000, 3_000, 9_000, 10].map(list)));
    settle_down().await;
    world.store.commits.open();
    soon(lists).await.unwrap();
    assert_eq!(world.sizes(), [1, 1, 1, 1, 1]);
}

#[actix::test]
async fn what_a_caller_wanted_that_gave_up_does_not_happen() {
    let world = World::start();
    world.store.go_away(true);
    let gave_up = world.db.write(write(1));
    let waited = tokio::time::timeout(Duration::from_secs(30), gave_up).await;
    assert!(waited.is_err());
    let answers = world.write_all([2]);
    settle_down().await;
    world.store.go_away(false);
    soon(answers).await.unwrap();
    assert_eq!(world.store.written(), [2]);
}

#[actix::test]
async fn callers_beyond_the_permits_wait_and_none_is_forgotten() {
    let world = World::start();
    world.store.go_away(true);
    let answers = world.write_all(1000..6000);
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.store.go_away(false);
    let answers = soon(answers).await.unwrap();
    assert!(counts(&answers).into_iter().eq(1000..6000));
    assert_eq!(world.store.written().len(), 5000);
}

#[actix::test]
async fn an_adapter_panic_fails_its_batch_alone() {
    let world = World::start();
    let answer = soon(world.db.write(write(PANICS))).await;
    assert!(matches!(answer, Err(DbError::Restarted)));
    assert_eq!(counts(&soon(world.write_all([5])).await.unwrap()), [5]);
    assert_eq!(world.deaths.count(), 0);
    assert_eq!(
        world.store.connections.len(),
        2,
        "not on the connection that panicked"
    );
}

#[actix::test]
async fn what_is_being_committed_is_answered_though_the_actor_dies() {
    let mut world = World::start();
    world.store.commits.close();
    let under_way = world.write_all([1]);
    settle_down().await;
    let waiting = world.write_all([2, 3]);
    settle_down().await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    world.store.commits.open();
    assert_eq!(counts(&soon(under_way).await.unwrap()), [1]);
    world.replace();
    assert_eq!(counts(&soon(waiting).await.unwrap()), [2, 3]);
    assert_eq!(world.store.written(), [1, 2, 3], "each once");
}

#[actix::test]
async fn writes_wait_until_a_dead_actor_is_replaced() {
    let mut world = World::start();
    world.store.go_away(true);
    let early = world.write_all([1]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    let late = world.write_all([2]);
    world.store.go_away(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.store.written().is_empty());
    world.replace();
    soon(early).await.unwrap();
    soon(late).await.unwrap();
    let mut written = world.store.written();
    written.sort_unstable();
    assert_eq!(written, [1, 2]);
}
