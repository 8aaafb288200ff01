//! Migrations, once and by many at once.

use super::*;

/// Of several processes that start at once on a new database one does the migrations, and none fails.
#[test]
fn migrations_run_by_many_at_once_are_done_once() {
    for _ in 0..5 {
        for world in worlds::all() {
            let _names = NamesDatabase(world.name);
            let start = std::sync::Barrier::new(8);
            let store = &world.store;
            let done: Vec<usize> = std::thread::scope(|scope| {
                let migrate = || {
                    start.wait();
                    store.migrate().unwrap().len()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(migrate)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(done.iter().filter(|n| **n > 0).count(), 1, "{done:?}");
        }
    }
}

facts! {
    async fn migrations_run_twice_and_find_nothing_to_do(world) {
        assert!(world.store.migrate().unwrap().is_empty());
    }
}
