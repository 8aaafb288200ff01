//! Which writes wait for a lock, which pass, and which are barriers.

use super::*;

#[actix::test]
async fn who_waits_for_a_lock_holds_nobody_else_up() {
    let world = World::start();
    world.store.script.lock().unwrap().locked = Some(1050);
    let waits = world.write_all(1000..1100);
    world.store.holds.wait_for(2).await;
    let begun = tokio::time::Instant::now();
    for n in 2000..2020 {
        soon(world.db.write(write(n))).await.unwrap();
    }
    assert!(begun.elapsed() < LOCK_WAIT, "{:?}", begun.elapsed());
    let written = world.store.written();
    let neighbours = (1000..1100).filter(|n| *n != 1050);
    assert!(neighbours.into_iter().all(|n| written.contains(&n)));
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(!world.store.written().contains(&1050));
    world.store.script.lock().unwrap().locked = None;
    assert!(
        counts(&soon(waits).await.unwrap())
            .into_iter()
            .eq(1000..1100)
    );
    let mut written = world.store.written();
    written.sort_unstable();
    assert!(
        written.into_iter().eq((1000..1100).chain(2000..2020)),
        "each once"
    );
}

/// As while a table is being altered: each of them would wait, and all others behind it.
#[actix::test]
async fn more_of_what_waits_for_a_table_waits_beside_it() {
    let world = World::start();
    let send = |rows: usize| {
        let (db, rows) = (world.db.clone(), vec![message(); rows]);
        actix_rt::spawn(async move { db.insert_messages("q".to_owned(), rows).await })
    };
    world.store.script.lock().unwrap().locked = Some(INSERTS);
    let first = send(1);
    // The second one is set aside.
    world.store.holds.wait_for(2).await;
    let holds = world.store.holds.len();
    let others: Vec<_> = (1..10).map(|_| send(1)).collect();
    settle_down().await;
    let begun = tokio::time::Instant::now();
    for n in 2000..2020 {
        soon(world.db.write(write(n))).await.unwrap();
    }
    assert!(begun.elapsed() < LOCK_WAIT / 2, "{:?}", begun.elapsed());
    tokio::time::sleep(LOCK_WAIT * 4).await;
    let tries = world.store.holds.len() - holds;
    assert!(
        tries <= 6,
        "together, not one after the other: {tries} tries"
    );
    world.store.script.lock().unwrap().locked = None;
    for send in others.into_iter().chain([first]) {
        soon(send).await.unwrap().unwrap();
    }
}

#[actix::test]
async fn a_release_waits_for_ends_and_is_passed_by_nothing() {
    let world = World::start();
    let release = || {
        let db = world.db.clone();
        async move { db.write(release_all()).await }
    };
    let end = || {
        let db = world.db.clone();
        actix_rt::spawn(async move { db.write(end_none()).await })
    };
    // An end that waits for a lock is not passed by it.
    world.store.script.lock().unwrap().locked = Some(ENDS);
    let waits = end();
    world.store.holds.wait_for(1).await;
    let released = actix_rt::spawn(release());
    settle_down().await;
    let behind = world.write_all([2]);
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(world.store.written().is_empty());
    world.store.script.lock().unwrap().locked = None;
    soon(waits).await.unwrap().unwrap();
    soon(released).await.unwrap().unwrap();
    soon(behind).await.unwrap();
    assert_eq!(
        world.store.transactions.all(),
        [vec![ENDS], vec![0], vec![2]]
    );

    // And where it waits itself, nothing passes it.
    world.store.script.lock().unwrap().locked = Some(0);
    let released = actix_rt::spawn(release());
    settle_down().await;
    let behind = world.write_all([3]);
    tokio::time::sleep(LOCK_WAIT * 10).await;
    assert!(!world.store.written().contains(&3));
    world.store.script.lock().unwrap().locked = None;
    soon(released).await.unwrap().unwrap();
    soon(behind).await.unwrap();
    assert_eq!(world.store.transactions.all()[3..], [vec![0], vec![3]]);
}

/// A claim whose caller is gone is not made, and blocks no other write.
#[actix::test]
async fn nothing_waits_for_a_write_that_nobody_wants_any_more() {
    let world = World::start();
    world.store.script.lock().unwrap().locked = Some(ENDS);
    let db = world.db.clone();
    let end = actix_rt::spawn(async move { db.write(end_none()).await });
    world.store.holds.wait_for(1).await;
    end.abort();
    soon(world.db.write(release_all())).await.unwrap();
}

fn end_none() -> EndTasks {
    EndTasks {
        owner: "me".to_owned(),
        ends: Vec::new(),
    }
}

fn release_all() -> ReleaseTasks {
    ReleaseTasks {
        owner: "me".to_owned(),
        keep: Vec::new(),
    }
}

/// A claim that is known by a number.
fn claim(n: i64) -> TakeFire {
    TakeFire {
        uk: n.to_string(),
        from: String::new(),
        owner: String::new(),
        at_overlap: AtOverlap::Allow,
    }
}

#[actix::test]
async fn a_claim_of_a_fire_waits_for_no_other_write() {
    let store = FakeStore {
        writers: Writers::Many,
        ..FakeStore::new()
    };
    let world = World::on(store, None);
    world.store.commits.close();
    // More than may be under way at once: the others wait for their turn.
    let others = world.write_all(1000..4000);
    settle_down().await;
    for n in 1..4 {
        soon(world.db.write(claim(n))).await.unwrap();
    }
    assert_eq!(world.store.written(), [1, 2, 3]);
    world.store.commits.open();
    assert_eq!(soon(others).await.unwrap().len(), 3000);
    assert_eq!(world.store.connections.len(), 2);
}

#[actix::test]
async fn cron_claims_go_first_on_one_connection() {
    let world = World::start();
    world.store.commits.close();
    let first = world.write_all([1000]);
    settle_down().await;
    let others = world.write_all(1001..1004);
    settle_down().await;
    let claims = [1, 2].map(|n| {
        let db = world.db.clone();
        actix_rt::spawn(async move { db.write(claim(n)).await })
    });
    settle_down().await;
    world.store.commits.open();
    soon(join_all(claims)).await;
    soon(first).await.unwrap();
    soon(others).await.unwrap();
    let transactions = world.store.transactions.all();
    assert_eq!(
        transactions,
        [vec![1000], vec![1, 2], vec![1001, 1002, 1003]]
    );
    assert_eq!(world.store.connections.len(), 1);
}
