//! The servers of tests: what tests may rely on.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use servers::kafka::Kafka;
use servers::mariadb::{self, MariaDb};
use servers::postgres::{self, Postgres};
use servers::redis::Redis;
use servers::server::{Kind, Server};

#[path = "mod.rs"]
mod servers;

fn answers<K: Kind>(server: &Server<K>) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_ok()
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// No row is missing whose insert was answered before the crash.
fn crash<K: Kind>(server: &Server<K>, execute: impl Fn(&str) -> String, table: &str) {
    execute(&format!("CREATE TABLE {table} (n int)"));
    for n in 0..20 {
        execute(&format!("INSERT INTO {table} VALUES ({n})"));
    }
    let killed = server.pid();
    server.kill();
    assert!(is_gone(killed) && !answers(server));
    server.start();
    assert_ne!(server.pid(), killed);
    let count = execute(&format!("SELECT count(*) FROM {table}"));
    assert_eq!(count.trim(), "20");
}

#[test]
fn a_crashed_mariadb_has_all_that_it_answered() {
    let Some(server) = MariaDb::dedicated() else {
        return;
    };
    server.database();
    crash(&server, |sql| server.execute(sql), "test_0.t");
}

#[test]
fn a_crashed_postgres_has_all_that_it_answered() {
    let Some(server) = Postgres::dedicated() else {
        return;
    };
    crash(&server, |sql| server.execute(sql), "t");
}

#[test]
fn a_crashed_kafka_has_its_topics() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let topic = server.topic(3);
    server.kill();
    assert!(!answers(&server));
    server.start();
    let client: BaseConsumer = server.client().create().unwrap();
    let found = client
        .fetch_metadata(Some(&topic), Duration::from_secs(30))
        .unwrap();
    assert_eq!(found.topics()[0].partitions().len(), 3);
}

#[test]
fn a_dropped_server_is_gone() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    assert!(answers(&server));
    let pid = server.pid();
    drop(server);
    assert!(is_gone(pid));
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let Some(server) = std::thread::spawn(Redis::dedicated).join().unwrap() else {
        return;
    };
    // The kernel would have killed it before the join returned.
    assert!(answers(&server));
}

#[test]
fn a_database_is_fresh_for_each_that_asks() {
    let urls = [
        mariadb::shared().map(|server| [server.database(), server.database()]),
        postgres::shared().map(|server| [server.database(), server.database()]),
    ];
    for [first, second] in urls.into_iter().flatten() {
        assert_ne!(first, second);
    }
}
