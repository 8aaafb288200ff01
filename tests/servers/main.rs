//! The servers of tests: what tests may rely on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use servers::folder::Folder;
use servers::kafka::Kafka;
use servers::mariadb::{self, MariaDb};
use servers::mysql::{self, MySql};
use servers::postgres::{self, Postgres};
use servers::redis::Redis;
use servers::root::Releases;
use servers::server::{Kind, Server};

#[path = "mod.rs"]
mod servers;

fn answers<K: Kind>(server: &Server<K>) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_ok()
}

/// Ended; its new parent may be slow to notice.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with('Z'))
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
fn a_crashed_mysql_has_all_that_it_answered() {
    let Some(server) = MySql::dedicated() else {
        return;
    };
    assert!(server.execute("SELECT VERSION()").starts_with("9."));
    server.database();
    crash(&server, |sql| server.execute(sql), "test_0.t");
}

/// `TEST_SERVERS` chooses them.
#[test]
fn servers_are_of_the_releases_asked_for() {
    let releases = Releases::of_this_run();
    if let Some(server) = mariadb::shared() {
        let is_newer = server.execute("SELECT VERSION()").starts_with("11.8");
        assert_eq!(is_newer, releases == Releases::Newer);
    }
    if let Some(server) = postgres::shared() {
        let is_newer = server.execute("SHOW server_version").starts_with("18");
        assert_eq!(is_newer, releases == Releases::Newer);
    }
    if let Some(server) = Redis::dedicated() {
        let version = match releases {
            Releases::Installed => "Redis version=7",
            Releases::Newer => "Redis version=8",
            Releases::Valkey => "Valkey version=9",
            Releases::Oldest => "Redis version=6.2",
        };
        assert!(server.log().contains(version), "{}", server.log());
    }
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
        mysql::shared().map(|server| [server.database(), server.database()]),
        postgres::shared().map(|server| [server.database(), server.database()]),
    ];
    for [first, second] in urls.into_iter().flatten() {
        assert_ne!(first, second);
    }
}

/// A server that no machine has.
struct Nowhere;

impl Kind for Nowhere {
    const NAME: &'static str = "a server that is nowhere";
    const READY: &'static str = "";

    fn find() -> Option<Self> {
        None
    }

    fn prepare(&self, _folder: &Folder, _port: u16) {
        unreachable!()
    }

    fn command(&self, _folder: &Folder, _port: u16) -> Command {
        unreachable!()
    }
}

#[test]
#[ignore = "the next test runs it as a process of its own"]
fn ask_for_a_server_that_is_nowhere() {
    assert!(Server::<Nowhere>::dedicated().is_none());
}

#[test]
fn what_is_not_installed_is_left_out_and_reported_but_not_in_ci() {
    let ask = |ci: bool| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "ask_for_a_server_that_is_nowhere", "--ignored"]);
        command.env_remove("CI");
        if ci {
            command.env("CI", "true");
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (passed, text) = ask(false);
    assert!(
        passed && text.contains("LEFT OUT: what needs a server that is nowhere"),
        "{text}"
    );
    let (passed, text) = ask(true);
    assert!(!passed && text.contains("nothing is left out"), "{text}");
}

#[test]
#[ignore = "the next test runs it as a process of its own"]
fn start_a_server_and_hang() {
    let server = Postgres::dedicated();
    println!("server {}", server.as_ref().map_or(0, Postgres::pid));
    loop {
        std::thread::park();
    }
}

/// Also one that runs as another user than the tests do.
#[test]
fn a_server_ends_with_a_test_process_that_is_killed() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args([
        "--exact",
        "start_a_server_and_hang",
        "--ignored",
        "--nocapture",
    ]);
    let mut tests = tests.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tests.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| Some(line.unwrap().split_once("server ")?.1.parse().unwrap()));
    tests.kill().unwrap();
    tests.wait().unwrap();
    let Some(pid) = pid.filter(|pid| *pid != 0) else {
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_gone(pid) {
        assert!(Instant::now() < deadline, "{pid} goes on without us");
        std::thread::sleep(Duration::from_millis(5));
    }
}
