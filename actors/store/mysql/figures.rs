//! How fast pushes are, beside the bare statements in the same run.
//!
//! `cargo test --release --lib store::mysql::figures -- --ignored --nocapture`, on a machine that does nothing else.

use std::sync::Arc;
use std::time::Instant;

use actix::Actor;
use actix_rt::{Arbiter, System};
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;

use super::connect;
use super::server::store::ServerStore;
use crate::config::Secret;
use crate::db::{Db, DbActor};
use crate::drop_notice::GoneNotice;
use crate::servers::mariadb::MariaDb;
use crate::servers::mysql::MySql;
use crate::store::rows::NewTask;
use crate::store::traits::Store;
use crate::store::write::InsertTasks;

const CALLERS: usize = 64;
const PUSHES_EACH: usize = 2_000;
const BARE_COMMITS: usize = 5_000;
const LIST: usize = 500;
const LISTS: usize = 200;

fn row() -> NewTask {
    NewTask {
        name: "n".to_owned(),
        exec_cmd: "job".to_owned(),
        params: "{\"order\":123456}".to_owned(),
        due_ms: 4_000_000_000_000,
        claimed: false,
        trace: None,
    }
}

fn values(rows: usize) -> String {
    let one = "('n', 'job', '{\"order\":123456}', 1, 4000000000, 4000000000000, NOW(), NOW())";
    let columns = "name, exec_cmd, params, status, exec_time, due_ms, create_time, update_time";
    format!(
        "INSERT INTO delay_queue_log ({columns}) VALUES {}",
        vec![one; rows].join(",")
    )
}

/// Rows a second.
async fn bare(url: &Secret, rows: usize, statements: usize) -> f64 {
    let mut connection = connect::open(url).await.unwrap();
    let statement = values(rows);
    let begun = Instant::now();
    for _ in 0..statements {
        connection.batch_execute(&statement).await.unwrap();
    }
    per_second(rows * statements, begun)
}

fn per_second(rows: usize, begun: Instant) -> f64 {
    f64::from(u32::try_from(rows).unwrap()) / begun.elapsed().as_secs_f64()
}

async fn pushes(db: &Db, callers: usize, lists: usize, rows: usize) -> f64 {
    let begun = Instant::now();
    let caller = |_| async move {
        for _ in 0..lists {
            let insert = InsertTasks {
                rows: vec![row(); rows],
                owner: String::new(),
            };
            let ids = db.write(insert).await.unwrap();
            assert_eq!(ids.len(), rows);
        }
    };
    join_all((0..callers).map(caller)).await;
    per_second(callers * lists * rows, begun)
}

#[test]
#[ignore = "a measurement, for a machine that does nothing else"]
fn pushes_are_gathered_on_mariadb() {
    let server = MariaDb::dedicated().unwrap();
    // As a server is set up by default: each commit is on the disk.
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    measure(server.database());
}

#[test]
#[ignore = "a measurement, for a machine that does nothing else"]
fn pushes_are_gathered_on_mysql() {
    let server = MySql::dedicated().unwrap();
    // As above. MySQL has a binary log by default too, which is on the disk with each commit.
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1");
    measure(server.database());
}

fn measure(url: String) {
    let url = Secret::new(url);
    System::new().block_on(async move {
        let store = Arc::new(ServerStore::new(url.clone(), "a server".to_owned(), 4));
        store.migrate().unwrap();
        let db = Db::new(store.as_ref());
        let arbiter = Arbiter::new();
        let (own, outage): (Arc<dyn Store>, _) = (store, db.outage());
        let actor = DbActor::start_in_arbiter(&arbiter.handle(), move |_| {
            DbActor::new(own, outage, None, GoneNotice::none())
        });
        db.set_actor(Some(actor));
        let commits = bare(&url, 1, BARE_COMMITS).await;
        let singles = pushes(&db, CALLERS, PUSHES_EACH, 1).await;
        let statements = bare(&url, LIST, LISTS).await;
        let lists = pushes(&db, 4, LISTS / 4, LIST).await;
        let one_caller = pushes(&db, 1, LISTS, LIST).await;
        println!("one-row commits, bare:                     {commits:>9.0} rows/s");
        println!(
            "64 callers, lists of 1:                    {singles:>9.0} rows/s, {:.1} times",
            singles / commits
        );
        println!("statements of 500 rows, bare:              {statements:>9.0} rows/s");
        println!(
            "4 callers, lists of 500:                   {lists:>9.0} rows/s, {:.2} of it",
            lists / statements
        );
        println!(
            "1 caller, lists of 500:                    {one_caller:>9.0} rows/s, {:.2} of it",
            one_caller / statements
        );
        assert!(
            singles >= 10.0 * commits,
            "lists of 1: {:.1} times",
            singles / commits
        );
        assert!(
            lists >= 0.5 * statements,
            "lists of 500: {:.2}",
            lists / statements
        );
    });
}
